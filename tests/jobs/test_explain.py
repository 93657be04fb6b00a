"""What a day's model has learned: the step, the report, and the command on a bundle or on a day."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.commands.explain import command
from jobs.running import run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.data.sampled_rows import read_columns
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.explaining.layer_statistics import GRADIENT_ROWS
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import STEPS, daily_steps, step
from pnn_gluon.store.manifest import Manifest
from tests.jobs.small_pipeline import DAYS

DAY = DAYS[2]


def manifest(config: Config, table: str) -> Manifest:
    found = open_store(config).manifest(table, DAY)
    assert found is not None
    return found


def folder(config: Config, table: str) -> Path:
    return Path(str(open_store(config).folder(manifest(config, table))))


def told(config: Config) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder(config, "explanations") / "explanation.json").read_text())
    return found


def changed(config: Config, options: str) -> Config:
    config.path.write_text(f"{config.path.read_text()}\n{options}\n")
    return load_config(config.path)


def ask(bundle: Path | None = None, **options: Any) -> None:
    """The command with its defaults."""
    given = {
        "rows": None,
        "cluster": None,
        "weight": None,
        "at_most": 20_000,
        "repeats": 20,
        "config": None,
        "day": None,
    }
    command(bundle, **{**given, "output": None, **options})


def test_the_model_of_a_day_is_explained_by_the_rows_it_was_judged_by(five_days: Config) -> None:
    found, gate = told(five_days), manifest(five_days, "samples").details["gate"]
    assert (found["model"], found["model_day"]) == ("fm", str(DAY))
    assert (found["rows"], found["rows_available"], found["gradient_rows"]) == (gate, gate, min(gate, GRADIENT_ROWS))
    assert {each["field"] for each in found["importance"]} == {field.name for field in five_days.fields}
    assert found["importance"][0]["low"] > found["importance"][-1]["low"]
    assert found["pairs"]["kind"] == "inner products of mean embeddings"
    assert [each["layer"] for each in found["layers"]] == ["linear", "embedding"]
    important = [each["field"] for each in found["importance"][:5]]
    assert manifest(five_days, "explanations").details["important"] == important


def test_the_report_shows_what_was_found(five_days: Config) -> None:
    report = json.loads((folder(five_days, "reports") / "report.json").read_text())
    assert report["explanation"] == told(five_days)
    assert "What the candidate learned" in (folder(five_days, "reports") / "report.html").read_text()


def test_nothing_but_the_report_waits_for_it_and_a_day_in_order_has_its_scores_out_before(five_days: Config) -> None:
    readers = [each.name for each in STEPS if any(edge.table == "explanations" for edge in each.edges(five_days))]
    assert readers == ["report"]
    names = [each.name for each in daily_steps(five_days)]
    assert names[names.index("publish") :] == ["publish", "explain", "report"]


def test_made_again_it_is_the_same_to_the_byte(built: Config) -> None:
    before = manifest(built, "explanations").run
    assert run_step(step("explain"), built, DAY).status == "skipped"
    assert run_step(step("explain"), built, DAY, force=True).run == before


def test_options_bound_the_rows_and_the_repeats(built: Config) -> None:
    before = told(built)
    config = changed(built, "[explain]\nrows = 50\nrepeats = 10")
    assert run_step(step("explain"), config, DAY).status == "done"
    after = told(config)
    assert (after["rows"], after["rows_available"], after["repeats"]) == (50, before["rows"], 10)


def test_clusters_are_drawn_together(built: Config) -> None:
    before = {each["field"]: each for each in told(built)["importance"]}
    config = changed(built, '[evaluation]\ncluster = "c6"')
    run_step(step("explain"), config, DAY)
    after = {each["field"]: each for each in told(config)["importance"]}
    assert {name: each["log_loss"] for name, each in after.items()} == pytest.approx(
        {name: each["log_loss"] for name, each in before.items()}
    )
    assert {name: each["low"] for name, each in after.items()} != {name: each["low"] for name, each in before.items()}


def test_turned_off_it_is_done_at_once_and_the_report_says_so(built: Config) -> None:
    config = changed(built, "[explain]\nrows = 0")
    outcome = run_step(step("explain"), config, DAY)
    assert (outcome.status, outcome.rows, outcome.details["unexplained"]) == (
        "done",
        0,
        "explain.rows = 0 turns it off",
    )
    run_step(step("report"), config, DAY)
    assert "Not looked at: explain.rows = 0 turns it off." in (folder(config, "reports") / "report.html").read_text()
    with pytest.raises(InputError, match=f"the candidate of {DAY} was not looked at: explain.rows = 0 turns it off"):
        ask(config=config.path, day=str(DAY))


def test_a_bundle_alone_and_with_rows(five_days: Config, tmp_path: Path) -> None:
    bundle, rows = tmp_path / "bundle", folder(five_days, "rows") / "rows.parquet"
    shutil.copytree(folder(five_days, "bundles"), bundle)
    ask(bundle, output=tmp_path / "alone.json")
    ask(bundle, rows=rows, at_most=300, output=tmp_path / "rows.json")
    ask(bundle, rows=rows, at_most=300, output=tmp_path / "again.json")
    alone, with_rows = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("alone", "rows"))
    assert alone["history"] == with_rows["history"] == manifest(five_days, "models").details["history"]
    assert (alone["rows"], alone["importance"], with_rows["rows"], len(with_rows["importance"])) == (0, [], 300, 14)
    assert alone["pairs"]["fields"] == with_rows["pairs"]["fields"]
    assert (tmp_path / "rows.json").read_bytes() == (tmp_path / "again.json").read_bytes()


def test_rows_of_a_bundle_count_by_the_weight_that_is_named(five_days: Config, tmp_path: Path) -> None:
    rows = read_columns(folder(five_days, "rows") / "rows.parquet").slice(0, 300)
    weight = np.arange(300) % 5 + 1
    pq.write_table(rows.append_column("n", pa.array(weight)), tmp_path / "rows.parquet")
    for name, column in (("plain", None), ("weighted", "n")):
        given = {"rows": tmp_path / "rows.parquet", "weight": column}
        ask(folder(five_days, "bundles"), **given, output=tmp_path / f"{name}.json")
    plain, weighted = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("plain", "weighted"))
    assert "impressions" not in plain
    assert (weighted["rows"], weighted["impressions"]) == (300, weight.sum())
    assert all(plain[numbers] != weighted[numbers] for numbers in ("importance", "pairs", "layers"))


def test_a_day_is_shown_with_the_curve_of_its_training(
    five_days: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where: dict[str, Any] = {"config": five_days.path, "day": str(DAY)}
    ask(**where)
    shown = capsys.readouterr().out
    important = manifest(five_days, "explanations").details["important"]
    for expected in (*important, "Importance of fields", "Strongest pairs", "embedding", "Learning curve"):
        assert expected in shown
    ask(**where, output=tmp_path / "day.html")
    ask(**where, output=tmp_path / "day.json")
    written = json.loads((tmp_path / "day.json").read_text())
    assert len(written.pop("history")) == manifest(five_days, "models").details["history"][-1]["epoch"] + 1
    assert written == {key: value for key, value in told(five_days).items() if key != "history"}
    assert "Learning curve" in (tmp_path / "day.html").read_text()


def test_a_day_whose_bundle_has_no_curve_is_shown_with_that_of_its_model(built: Config, tmp_path: Path) -> None:
    path, output = folder(built, "explanations") / "explanation.json", tmp_path / "day.json"
    made = manifest(built, "explanations")
    store = open_store(built)
    with store.staging("explanations", DAY) as staged:
        (staged / path.name).write_text(json.dumps({**told(built), "history": []}))
        store.commit(
            "explanations",
            DAY,
            staged,
            rows=made.rows,
            inputs=made.inputs,
            options=made.options,
            version=made.version,
            made_by=made.made_by,
            details=made.details,
        )
    ask(config=built.path, day=str(DAY), output=output)
    assert json.loads(output.read_text())["history"] == manifest(built, "models").details["history"]


def test_what_cannot_be_asked_is_refused_with_what_to_do(five_days: Config, tmp_path: Path) -> None:
    bundle, rows = folder(five_days, "bundles"), folder(five_days, "rows") / "rows.parquet"
    for words in ({}, {"bundle": bundle, "day": str(DAY)}, {"day": str(DAY), "rows": rows, "config": five_days.path}):
        with pytest.raises(ConfigError, match="name a bundle's folder"):
            ask(**words)
    with pytest.raises(ConfigError, match=r"ends in \.json or \.html"):
        ask(bundle, output=tmp_path / "x.txt")
    with pytest.raises(ConfigError, match="--cluster c1: a column of --rows"):
        ask(bundle, cluster="c1")
    with pytest.raises(ConfigError, match="--weight c1: a column of --rows"):
        ask(bundle, weight="c1")
    with pytest.raises(InputError, match="c17, c20, label, received only"):
        ask(bundle, rows=folder(five_days, "scores") / "scores.parquet")
    with pytest.raises(InputError, match="expected the columns user"):
        ask(bundle, rows=rows, cluster="user")
    with pytest.raises(InputError, match="was not looked at; to do so: pnn-gluon step explain"):
        ask(config=five_days.path, day="2026-11-20")
