"""Exports: every format holds the same scores, what is asked for is what is made, and refusals say what to do."""

import csv
import datetime
import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.commands.rollback import roll_back
from jobs.running import Outcome, run_step
from jobs.steps.export import work_of_export
from pnn_gluon.config import Config
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.exports import Export, Slice, export_step
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs.small_pipeline import DAYS, FIRST, SCORES_VARIABLE, build

LAST = DAYS[-1]


def export(config: Config, asked: Export, day: datetime.date = DAYS[2], force: bool = False) -> Outcome:
    return run_step(export_step(asked), config, day, force, work=work_of_export(asked))


def files(config: Config, outcome: Outcome) -> Path:
    return Path(config.store_root) / outcome.path


def parquet(config: Config, outcome: Outcome) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(files(config, outcome) / "scores.parquet").to_pylist()
    return rows


def manifest(config: Config, outcome: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((files(config, outcome) / "export.json").read_text())
    return told


def server_rows(uri: str, table: str, day: datetime.date) -> list[tuple[Any, ...]]:
    with psycopg.connect(uri) as connection:
        query = f"select row_id, logit, probability, model_day from {table} where day = %s order by row_id"
        return list(connection.execute(query, [day]))


def test_every_format_holds_the_same_scores(built: Config, score_server_uri: str) -> None:
    whole = parquet(built, export(built, Export("p", DAYS[3])))
    assert len(whole) == 300
    packed = export(built, Export("c", DAYS[3], format="csv.gz"))
    with gzip.open(files(built, packed) / "scores.csv.gz", "rt", newline="") as file:
        read = list(csv.DictReader(file))
    numbers = {"line": int, "logit": float, "probability": float}
    assert [{key: numbers.get(key, str)(value) for key, value in row.items()} for row in read] == whole
    table = export(built, Export("t", DAYS[3], format="table"))
    assert parquet(built, table) == whole
    expected = sorted((row["row_id"], row["logit"], row["probability"], DAYS[3]) for row in whole)
    assert server_rows(score_server_uri, "scores_t", DAYS[2]) == expected


def test_the_manifest_says_what_was_asked_for_and_that_it_is_whole(built: Config) -> None:
    asked = Export("c", None, "logs", "csv.gz", "6", Slice("label", "1"))
    outcome = export(built, asked)
    told = manifest(built, outcome)
    content = (files(built, outcome) / told["file"]["name"]).read_bytes()
    assert told["file"] == {
        "name": "scores.csv.gz",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    wanted = {
        "day": str(DAYS[2]),
        "state": "final",
        "choice": "champion",
        "model_day": str(DAYS[1]),
        "scored": "logs",
        "slice": "label = 1",
        "format": "csv.gz",
        "precision": "6",
        "rows": outcome.rows,
    }
    assert {key: told[key] for key in wanted} == wanted
    rows = open_store(built).manifest("rows", DAYS[2])
    assert rows is not None
    assert outcome.rows == rows.details["positives"]


def test_the_same_export_again_does_nothing_and_another_choice_is_made_again(built: Config) -> None:
    assert export(built, Export("p", DAYS[3])).status == "done"
    assert export(built, Export("p", DAYS[3])).status == "skipped"
    changed = [
        Export("p", DAYS[3], precision="float32"),
        Export("p", DAYS[3], format="csv.gz"),
        Export("p", DAYS[3], slice=Slice("file", "x")),
        Export("p"),
    ]
    runs = [export(built, each) for each in changed]
    assert [run.status for run in runs] == ["done"] * 4
    again = export(built, Export("p", DAYS[3], format="csv.gz"), force=True)
    assert again.run == runs[1].run  # the same bytes


def test_exports_of_earlier_releases_stay_readable_and_fresh(built: Config) -> None:
    """They have neither a manifest of their own nor choices."""
    asked = Export("old", DAYS[3])
    made = export(built, asked)
    path = Path(built.store_root) / "exports_old" / f"ds={DAYS[2]}.json"
    store, old = open_store(built), json.loads(path.read_text())
    assert not any(key.startswith("export.") for key in old["options"])
    folder = files(built, made)
    with store.staging("exports_old", DAYS[2]) as staged:
        (staged / "scores.parquet").write_bytes((folder / "scores.parquet").read_bytes())
        store.commit(
            "exports_old",
            DAYS[2],
            staged,
            rows=300,
            inputs=old["inputs"],
            options=old["options"],
            version=1,
            made_by={"pnn_gluon": "0.2.0"},
            details={"model_day": str(DAYS[3]), "map_day": str(DAYS[3]), "rows": "requests"},
        )
    outcome = export(built, asked)
    assert outcome.status == "skipped"
    assert len(parquet(built, outcome)) == 300


@pytest.mark.parametrize("rows", ["logs", "requests"])
def test_a_slice_holds_exactly_the_rows_with_that_value(built: Config, rows: str) -> None:
    """What is in a slice, and its scores, is as in the whole."""
    everything = {row["row_id"]: row for row in parquet(built, export(built, Export("all", DAYS[3], rows)))}
    for field, values in _values(built, rows, ["c1", "i1", "file"]).items():
        _compare(built, rows, field, values, everything)


def _compare(config: Config, rows: str, field: str, values: dict[str, Any], everything: dict[str, Any]) -> None:
    value = next(value for value in values.values() if value is not None)
    text = f"{value:.1f}" if isinstance(value, float) else value
    found = parquet(config, export(config, Export("some", DAYS[3], rows, slice=Slice(field, text))))
    assert [row["row_id"] for row in found] == [key for key in everything if values[key] == value]
    assert found == [everything[row["row_id"]] for row in found]
    none = export(config, Export("none", DAYS[3], rows, slice=Slice(field, "")))
    assert none.rows == sum(value is None for value in values.values())


def _values(config: Config, rows: str, fields: list[str]) -> dict[str, dict[str, Any]]:
    """By field the raw value of each row id."""
    from jobs.steps.ingest import raw_lines, targets_in
    from pnn_gluon.data.ingest import ingest_requests

    store = open_store(config)
    made = store.manifest("rows", DAYS[2])
    assert made is not None
    path = store.folder(made) / "rows.parquet"
    if rows == "requests":
        folder = config.path.parent / "typed"
        folder.mkdir()
        ingest_requests(raw_lines(config), config.engine, DAYS[2], targets_in(folder))
        path = folder / "rows.parquet"
    table = pq.read_table(path, columns=["row_id", *fields])
    ids = table["row_id"].to_pylist()
    return {field: dict(zip(ids, table[field].to_pylist(), strict=True)) for field in fields}


HOSTILE = [
    "'; drop table x; --",
    "%s%d{}",
    '" or "1"="1',
    "../../etc/passwd",
    "{{ 7 * 7 }}",
    "$(id)",
    "é\u202e漢",
    "\\",
]


@pytest.mark.parametrize("format", ["parquet", "csv.gz", "table"])
def test_a_value_that_never_occurs_is_zero_rows_and_said(built: Config, format: str) -> None:
    for value in HOSTILE if format == "parquet" else HOSTILE[:1]:
        outcome = export(built, Export("none", DAYS[3], format=format, slice=Slice("c1", value)))
        told = manifest(built, outcome)
        assert (outcome.status, outcome.rows, told["rows"]) == ("done", 0, 0)
        assert told["why"] == f"zero rows: none of the requests of {DAYS[2]} has c1 = {value}"


def test_a_precision_is_that_of_every_format(built: Config, score_server_uri: str) -> None:
    whole = parquet(built, export(built, Export("p", DAYS[3])))
    digits = parquet(built, export(built, Export("p", DAYS[3], precision="4")))
    floats = pq.read_table(files(built, export(built, Export("p", DAYS[3], precision="float32"))) / "scores.parquet")
    for name in ("logit", "probability"):
        exact = np.array([row[name] for row in whole])
        assert [row[name] for row in digits] == [float(f"{value:.4g}") for value in exact]
        assert np.array_equal(floats[name].to_numpy(), exact.astype(np.float32))
        assert str(floats.schema.field(name).type) == "float"
    export(built, Export("t", DAYS[3], format="table", precision="4"))
    held = {row[0]: row[2] for row in server_rows(score_server_uri, "scores_t", DAYS[2])}
    assert held == {row["row_id"]: row["probability"] for row in digits}


def test_the_champion_is_the_model_that_was_in_force_on_each_day(built: Config) -> None:
    """So the requests of a day have the scores that were served."""
    outcome = export(built, Export("served"), LAST)
    store = open_store(built)
    served = store.manifest("scores", DAYS[-2])
    assert served is not None
    assert parquet(built, outcome) == pq.read_table(store.folder(served) / "scores.parquet").to_pylist()
    list(roll_back(built, DAYS[-2], DAYS[0], "bad campaign", False))
    told = manifest(built, export(built, Export("served"), LAST))
    assert (told["model_day"], told["override"]) == (str(DAYS[0]), "bad campaign")


def test_where_nothing_was_decided_the_champion_is_an_older_one_and_says_so_until_it_is_mended(built: Config) -> None:
    path = Path(built.store_root) / "champions" / f"ds={DAYS[1]}.json"
    content = path.read_bytes()
    path.unlink()
    told = manifest(built, export(built, Export("served")))
    assert (told["state"], told["model_day"]) == ("fallback", str(DAYS[0]))
    assert told["why"] == f"nothing was decided on {DAYS[1]}: the model in force since {DAYS[0]}"
    path.write_bytes(content)
    told = manifest(built, export(built, Export("served")))
    assert (told["state"], told["model_day"], told["why"]) == ("final", str(DAYS[1]), None)


def test_a_table_is_replaced_day_by_day_counted_and_made_good(built: Config, score_server_uri: str) -> None:
    table = Export("t", DAYS[3], format="table")
    first, other = export(built, table), export(built, table, DAYS[1])
    assert (first.details["sequence"], first.details["table"], other.rows) == (1, "scores_t", 300)
    again = export(built, Export("t", DAYS[1], format="table"))
    assert again.details["sequence"] == 2
    assert {row[3] for row in server_rows(score_server_uri, "scores_t", DAYS[2])} == {DAYS[1]}
    assert {row[3] for row in server_rows(score_server_uri, "scores_t", DAYS[1])} == {DAYS[3]}
    with psycopg.connect(score_server_uri) as connection:
        connection.execute("drop table scores_t cascade")
        connection.execute('drop table "scores_t$runs"')
        connection.execute('drop table "scores_t$served"')
    restored = export(built, Export("t", DAYS[1], format="table"))
    assert (restored.status, restored.details["sequence"]) == ("done", 2)
    assert len(server_rows(score_server_uri, "scores_t", DAYS[2])) == 300


def test_a_day_that_cannot_be_scored_leaves_no_row_of_another_model_in_the_table(
    built: Config, score_server_uri: str
) -> None:
    export(built, Export("t", DAYS[3], "logs", "table"), FIRST)
    outcome = export(built, Export("t", None, "logs", "table"), FIRST)
    assert outcome.status == "kept"
    assert "no model was in force on 2026-11-01 yet" in outcome.details["kept"]
    assert server_rows(score_server_uri, "scores_t", FIRST) == []


def test_a_table_of_another_store_is_left_alone(built: Config, pipeline: Config) -> None:
    export(built, Export("t", DAYS[3], format="table"))
    build(pipeline, DAYS[:2], ["ingest", "sample", "count", "feature_map", "encode", "train", "calibrate"])
    other = Export("t", DAYS[0], format="table")
    with pytest.raises(ConfigError, match=r"that of the export\), or take it over once with --force"):
        export(pipeline, other)
    assert export(pipeline, other, force=True).status == "done"


def test_the_reading_role_reads_the_table_and_cannot_write_it(
    built: Config, score_server_uri: str, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner and readers are those of the score table on the embedded server."""
    postgres.ensure_roles("small")
    monkeypatch.setenv(SCORES_VARIABLE, postgres.publisher_uri("small"))
    export(built, Export("t", DAYS[3], format="table"))
    reader = postgres.reader_uri("small")
    assert len(server_rows(reader, "scores_t", DAYS[2])) == 300
    with psycopg.connect(reader) as connection, pytest.raises(psycopg.Error, match=r"read-only|permission denied"):
        connection.execute("delete from scores_t")


REFUSALS = {
    "a name that is a path": ({"name": "../x"}, 2, "export name '../x': expected a lower-case letter"),
    "a name with a quote": ({"name": "x'; drop table y"}, 2, "export name"),
    "a name with a line break": ({"name": "x\n"}, 2, "export name"),
    "the wrong order": ({"days": "2026-11-03..2026-11-02"}, 2, "the first day is after the last"),
    "no day": ({"days": "yesterday"}, 2, "day 'yesterday': expected a date such as"),
    "too many days": ({"days": "2026-11-01..2027-11-02"}, 2, "367 days, expected at most 366; export them in parts"),
    "a day before the first": ({"days": "2026-10-31"}, 2, "before the pipeline's first day 2026-11-01"),
    "a model that is no day": ({"model": "newest"}, 2, "model 'newest': expected 'champion', .*or the day of a model"),
    "a model that is not there": ({"model": "2026-11-09"}, 3, "Days with a bundle: 2026-11-01, .*; choose one of"),
    "other rows": ({"rows": "everything"}, 2, "rows 'everything': expected one of requests, logs"),
    "another format": ({"format": "xlsx"}, 2, "format 'xlsx': expected one of parquet, csv.gz, table"),
    "another precision": ({"precision": "float16"}, 2, "precision 'float16': expected one of float64, float32, 9"),
    "no slice": ({"slice": "c1"}, 2, "slice 'c1': expected field = value, such as i1 = 12"),
    "an unknown field": ({"slice": "city = Bern"}, 2, "requests have no field 'city'; choose one of i1, "),
    "a label of requests": ({"slice": "label = 1"}, 2, "requests have no field 'label'"),
    "no number": ({"slice": "i1 = many"}, 2, "i1 holds numbers, received 'many'; write one such as"),
    "infinity": ({"slice": "i1 = 1e999"}, 2, "i1 holds numbers"),
    "a line break": ({"slice": "c1 = a\nb"}, 2, "a line break or another control character"),
    "a field of another table": ({"slice": 'c1" or "1'}, 2, "expected field = value"),
    "a long table": (
        {"format": "table", "name": "x" * 31, "table": "y" * 20},
        2,
        "would have 52 characters, expected at most 41; give the export a shorter name",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_exported_is_refused_in_plain_words(
    five_days: Config, case: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    changed, status, words = REFUSALS[case]
    config = tmp_path / "pipeline.toml"
    text = five_days.path.read_text().replace('root = "store"', f'root = "{five_days.store_root}"')
    text = text.replace("raw/", f"{five_days.path.parent}/raw/")
    config.write_text(text + f'table = "{changed.get("table", "scores")}"\n')
    asked = {"days": str(DAYS[1]), "name": "bad", "model": "champion"} | changed
    asked.pop("table", None)
    options = [part for key, value in asked.items() for part in (f"--{key}", value)]
    result = CliRunner().invoke(app, ["export", "--config", str(config), *options])
    said = f"{result.exception or ''}\n{caplog.text}"
    assert re.search(words, said), said
    assert getattr(result.exception, "exit_status", result.exit_code) == status
    assert "Traceback" not in said
    assert not open_store(five_days).days("exports_bad")


def test_the_command_sums_up_its_days(built: Config) -> None:
    def run(*options: str) -> tuple[int, dict[str, Any]]:
        command = ["export", "--config", str(built.path), "--name", "sum", "--rows", "logs", *options]
        result = CliRunner().invoke(app, command)
        lines = result.stdout.splitlines()
        return result.exit_code, json.loads(lines[-1])

    days = f"{FIRST}..{DAYS[1]}"
    status, told = run("--days", days)
    assert (status, told["status"], told["day"]) == (0, "done", days)
    assert told["details"]["models"] == {str(DAYS[1]): str(FIRST)}
    assert list(told["details"]["kept_days"]) == [str(FIRST)]
    assert told["details"]["rows"] == {str(FIRST): 0, str(DAYS[1]): told["rows"]}
    status, told = run("--days", str(FIRST))
    assert (status, told["status"]) == (4, "kept")
    assert "no model was in force" in told["details"]["kept"][0]
