"""Rollback, late labels and exports: decisions that are recorded, and days that follow from them."""

import datetime
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.commands import promote
from jobs.commands.rollback import roll_back
from jobs.running import Outcome, run_step
from jobs.steps.export import work_of_export
from pnn_gluon.config import Config
from pnn_gluon.days import plus
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline.exports import Export, export_step
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from pnn_gluon.store.manifest import Manifest
from tests.jobs.small_pipeline import DAYS, FIRST, NIGHTLY, build, state_words

LAST = DAYS[-1]


def manifest(config: Config, table: str, day: datetime.date) -> Manifest:
    found = open_store(config).manifest(table, day)
    assert found is not None
    return found


def test_rollback_puts_another_days_model_in_force_scores_again_and_is_remembered(built: Config) -> None:
    before = manifest(built, "scores", LAST).run
    outcomes = list(roll_back(built, LAST, DAYS[1], "bad campaign data", False))
    assert [outcome.step for outcome in outcomes] == ["rollback", "promote", "score", "publish", "report"]
    champion = manifest(built, "champions", LAST)
    assert champion.details["model_day"] == str(DAYS[1])
    assert (champion.details["decision"], champion.details["reason"]) == ("override", "bad campaign data")
    assert manifest(built, "scores", LAST).run != before
    assert run_step(step("promote"), built, LAST, force=True).details["model_day"] == str(DAYS[1])
    assert set(state_words(built, [LAST])[LAST].values()) == {"done"}
    list(roll_back(built, LAST, None, "data were fine", True))
    assert manifest(built, "champions", LAST).details["decision"] == "promoted"
    assert manifest(built, "scores", LAST).run == before


def test_rollback_needs_a_reason_and_a_model_that_exists(built: Config) -> None:
    with pytest.raises(ConfigError, match="--reason"):
        list(roll_back(built, LAST, FIRST, " ", False))
    with pytest.raises(ConfigError, match="after --day"):
        list(roll_back(built, FIRST, LAST, "x", False))


def test_a_refused_candidate_is_promoted_by_force_only_and_that_is_recorded(
    built: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    built.path.write_text(built.path.read_text().replace("min_auc = 0.4", "min_auc = 0.99"))
    config, told = _reloaded(built), {"day": str(LAST), "reason": "a campaign began"}
    build(config, [LAST], ("gate", "promote"))
    kept = manifest(config, "champions", LAST).details
    assert kept["decision"] == "kept"
    with pytest.raises(ConfigError, match=r"the gate refused: auc: .*limit at least 0\.99.*--force"):
        promote.command(config.path, **told)
    assert open_store(config).manifest("overrides", LAST) is None
    promote.command(config.path, **told, force=True, by="otto")
    champion = manifest(config, "champions", LAST).details
    assert (champion["decision"], champion["model_day"], champion["by"]) == ("override", str(LAST), "otto")
    last_line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last_line["step"], last_line["details"]["in_force"]) == ("promote", str(LAST))
    assert manifest(config, "scores", LAST).details["decided"]["reason"] == "a campaign began"


def test_an_accepted_candidate_needs_no_force_and_one_that_was_not_judged_does(built: Config) -> None:
    list(roll_back(built, LAST, FIRST, "bad data", False))
    promote.command(built.path, str(LAST), "data were fine")
    assert manifest(built, "champions", LAST).details["model_day"] == str(LAST)
    with pytest.raises(ConfigError, match="the gate has not judged it; --force"):
        promote.command(built.path, str(plus(LAST, 1)), "x")


def test_late_labels_recalibrate_the_model_in_force_and_the_next_day_that_keeps_it_takes_that_up(built: Config) -> None:
    text = built.path.read_text().replace('method = "platt"', 'method = "platt"\nmaturity_days = 1')
    built.path.write_text(text.replace("min_auc = 0.4", "min_auc = 0.99"))
    config = _reloaded(built)
    today, tomorrow = DAYS[2], DAYS[3]
    _late_clicks(config, DAYS[1])
    build(config, [today], NIGHTLY)
    assert manifest(config, "matured", today).details["day"] == str(DAYS[1])
    again = manifest(config, "reevaluations", today).details
    first = manifest(config, "evaluations", DAYS[1]).details
    assert again["model_day"] == first["model_day"]
    assert again["summary"]["positives"] > first["summary"]["positives"]
    made = manifest(config, "recalibrated", today)
    assert made.details["after"]["pcoc"] == pytest.approx(1, abs=0.02)
    assert made.details["before"]["pcoc"] < 0.95
    build(config, [tomorrow], ("mature", "gate", "promote"))
    champion = manifest(config, "champions", tomorrow).details
    assert (champion["decision"], champion["table"], champion["run"]) == ("kept", "recalibrated", made.run)
    assert champion["model_day"] == str(today)
    build(config, [tomorrow], ("score",))


def test_a_recalibration_of_another_model_is_not_taken_up(built: Config) -> None:
    today, tomorrow = DAYS[2], DAYS[3]
    text = built.path.read_text().replace('method = "platt"', 'method = "platt"\nmaturity_days = 1')
    built.path.write_text(text.replace("min_auc = 0.4", "min_auc = 0.99"))
    config = _reloaded(built)
    build(config, [today], NIGHTLY)
    assert manifest(config, "recalibrated", today).details["model_day"] == str(today)
    list(roll_back(config, today, DAYS[1], "bad campaign data", False))
    in_force = manifest(config, "champions", today).details
    build(config, [tomorrow], ("mature", "gate", "promote"))
    champion = manifest(config, "champions", tomorrow).details
    assert champion["decision"] == "kept"
    for key in ("table", "day", "run", "model_day", "map_day"):
        assert champion[key] == in_force[key]
    assert champion["model_day"] == str(DAYS[1])


def _reloaded(config: Config) -> Config:
    from pnn_gluon.config import load_config

    return load_config(config.path)


def _late_clicks(config: Config, day: datetime.date) -> None:
    """Every tenth row without a click turns out to have had one."""
    (path,) = (config.path.parent / f"raw/logs/{day}").glob("*.tsv")
    lines = path.read_text().split("\n")
    path.write_text(
        "\n".join("1" + line[1:] if n % 10 == 0 and line.startswith("0\t") else line for n, line in enumerate(lines))
    )


def test_before_any_labels_matured_the_night_does_nothing_and_says_so(built: Config) -> None:
    built.path.write_text(built.path.read_text().replace('method = "platt"', 'method = "platt"\nmaturity_days = 9'))
    config = _reloaded(built)
    build(config, [DAYS[1]], NIGHTLY)
    assert manifest(config, "matured", DAYS[1]).details == {"day": None}
    assert manifest(config, "recalibrated", DAYS[1]).details == {"champion": None}


def export(config: Config, day: datetime.date, rows: str) -> Outcome:
    asked = Export("check", DAYS[2], rows)
    return run_step(export_step(asked), config, day, work=work_of_export(asked))


@pytest.mark.parametrize("rows", ["logs", "requests"])
def test_an_export_scores_chosen_days_with_a_chosen_model(built: Config, rows: str) -> None:
    outcome = export(built, DAYS[1], rows)
    scored = pq.read_table(Path(built.store_root) / outcome.path / "scores.parquet")
    expected = manifest(built, "rows", DAYS[1]).rows if rows == "logs" else 300
    assert scored.num_rows == outcome.rows == expected
    assert outcome.details["model_day"] == str(DAYS[2])
    assert len(set(scored["row_id"].to_pylist())) == expected


def test_an_export_needs_a_model_of_that_day(pipeline: Config) -> None:
    with pytest.raises(InputError, match=rf"Days with a bundle: none.* pnn-gluon run .*{DAYS[0]}\.\.{DAYS[2]}"):
        export(pipeline, DAYS[1], "requests")


def test_the_export_manifest_describes_the_scores_whole(built: Config) -> None:
    published, scores = manifest(built, "published", LAST), manifest(built, "scores", LAST)
    export = json.loads((open_store(built).folder(published) / "export.json").read_text())
    file = Path(built.store_root) / export["parquet"]["path"]
    assert file.stat().st_size == export["parquet"]["size"]
    assert pq.read_table(file).num_rows == export["rows"] == scores.rows


def test_scores_are_calibrated_probabilities_of_every_request(built: Config) -> None:
    file = open_store(built).folder(manifest(built, "scores", LAST)) / "scores.parquet"
    scored = pq.read_table(file)
    probability = scored["probability"].to_numpy()
    assert ((probability > 0) & (probability < 1)).all()
    order = np.argsort(scored["logit"].to_numpy(), kind="stable")
    assert (np.diff(probability[order]) >= 0).all()
