"""What a page shows of days: states with their reasons, decisions, the models, and how fresh the scores are."""

import datetime
import json
import os
from pathlib import Path
from typing import Any

import pytest

from jobs.airflow.plugin import reading
from jobs.commands.status import print_status
from jobs.day_overview import overview, shown_days
from jobs.day_reports import html_of, made_from
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.opening import open_store
from tests.jobs.small_pipeline import DAYS, FIRST, build

LAST = DAYS[-1]
TODAY = plus(LAST, 1)


def look(config: Config, days: list[datetime.date] = DAYS, today: datetime.date = TODAY) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(overview(config, days, today)))
    return found


def forget(config: Config, day: datetime.date, *tables: str) -> None:
    for table in tables:
        (Path(config.store_root) / table / f"ds={day}.json").unlink()


def test_days_that_are_well_say_so_with_their_models_and_fresh_scores(five_days: Config) -> None:
    found = look(five_days)
    assert [day["unwell"] for day in found["days"]] == [False] * len(DAYS)
    assert found["older"] == []
    last = found["days"][-1]
    assert last["steps"]["train"] == {"word": "done", "reasons": []}
    assert last["champion"]["decision"] == "promoted"
    assert last["served"] == {"state": "final", "model_day": str(LAST)}
    scores = found["scores"]
    assert (scores["score_day"], scores["state"], scores["sequence"], scores["behind"]) == (str(TODAY), "final", 1, 0)
    assert look(five_days, today=plus(TODAY, 3))["scores"]["behind"] == 3


def test_a_changed_raw_file_makes_its_day_and_the_later_ones_unwell_and_says_why(built: Config) -> None:
    logs = next((built.path.parent / "raw" / "logs" / str(DAYS[3])).glob("*.tsv"))
    logs.write_text(logs.read_text() + logs.read_text().splitlines()[-1] + "\n")
    found = look(built)
    assert [day["day"] for day in found["days"] if day["unwell"]] == [str(day) for day in DAYS[3:]]
    ingest = found["days"][3]["steps"]["ingest"]
    assert ingest["word"] == "stale"
    assert "has changed" in ingest["reasons"][0]
    assert look(built, DAYS[4:])["older"] == [str(DAYS[3])]


def test_a_fallback_a_failure_and_a_missing_day_have_words_of_their_own(built: Config) -> None:
    forget(built, LAST, "models", "bundles", "gates", "champions", "scores", "published")
    open_store(built).record_failure("models", LAST, "PnnError: postgresql://u:hush@db is away")
    build(built, [LAST], ["score"])
    day = look(built)["days"][-1]
    words = {name: state["word"] for name, state in day["steps"].items()}
    assert (words["train"], words["gate"], words["score"], words["publish"]) == (
        "failed",
        "missing",
        "fallback",
        "missing",
    )
    assert f"train of {LAST} failed" in day["steps"]["score"]["reasons"][0]
    assert day["champion"] is None
    assert day["served"] == {"state": "fallback", "model_day": str(DAYS[-2])}
    assert "hush" not in json.dumps(day)


def test_one_damaged_manifest_is_one_cell_that_names_its_file_and_a_run_of_the_day_mends_it(
    built: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(built.store_root) / "champions" / f"ds={DAYS[2]}.json"
    path.write_text(path.read_text().replace("promoted", "demoted"))
    days = look(built)["days"]
    cell = days[2]["steps"]["promote"]
    assert cell["word"] == "damaged"
    assert f"champions/ds={DAYS[2]}.json" in cell["reasons"][0]
    assert [day["day"] for day in days if day["unwell"]] == [str(day) for day in DAYS[2:]]
    assert days[2]["steps"]["train"]["word"] == "done"
    print_status(built, DAYS)
    shown = capsys.readouterr().out
    assert f"promote {DAYS[2]} damaged: " in shown
    assert days[4]["champion"]["model_day"] in shown
    build(built, DAYS[2:], ["promote", "evaluate", "gate", "score", "publish"])
    assert not any(day["unwell"] for day in look(built)["days"])


def test_a_refusal_is_shown_with_its_numbers(built: Config) -> None:
    text = built.path.read_text().replace("min_auc = 0.4", "min_auc = 0.99")
    built.path.write_text(text)
    config = load_config(built.path)
    build(config, DAYS, ["gate", "promote"])
    gate = look(config)["days"][-1]["steps"]["gate"]
    assert gate["word"] == "refused"
    assert "0.99" in gate["reasons"][0]


def test_the_newest_days_are_shown_unless_others_are_asked_for(five_days: Config) -> None:
    today = datetime.date(2027, 6, 1)
    assert shown_days(five_days, None, None, today) == DAYS
    assert shown_days(five_days, None, None, today, run=plus(LAST, 2))[-1] == plus(LAST, 2)
    assert shown_days(five_days, None, None, today, run=plus(LAST, 20))[0] == plus(LAST, 7)
    assert shown_days(five_days, DAYS[1], DAYS[2], today) == DAYS[1:3]
    assert shown_days(five_days, None, None, DAYS[2]) == DAYS[:2]  # a day that is not over is not shown
    assert shown_days(five_days, None, None, FIRST) == []
    assert shown_days(five_days, datetime.date.min, DAYS[1], today) == DAYS[:2]


def test_of_a_pipeline_without_any_day_the_first_two_weeks_are_shown(pipeline: Config) -> None:
    found = shown_days(pipeline, None, None, datetime.date(2027, 6, 1))
    assert (found[0], len(found)) == (FIRST, 14)
    shown = look(pipeline, found)
    assert all(day["unwell"] for day in shown["days"])
    assert shown["scores"] is None


def test_too_many_days_and_days_in_the_wrong_order_are_refused(built: Config) -> None:
    config = built.model_copy(update={"last_day": None})
    today = datetime.date(2028, 1, 1)
    with pytest.raises(ConfigError, match=r"are 94 days, expected at most 92"):
        shown_days(config, FIRST, plus(FIRST, 93), today)
    with pytest.raises(ConfigError, match="the first day is after the last"):
        shown_days(config, LAST, FIRST, today)


def test_the_name_of_a_report_changes_with_what_it_shows_and_with_nothing_else(built: Config) -> None:
    name, page = made_from(built, DAYS), html_of(built, DAYS)
    build(built, [LAST], ["count"], force=True)
    assert made_from(built, DAYS) == name
    forget(built, LAST, "gates")
    assert made_from(built, DAYS) != name
    assert html_of(built, DAYS) != page


def test_the_process_prints_days_and_a_report_once(
    five_days: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(*arguments: str) -> Any:
        monkeypatch.setattr("sys.argv", ["reading", *arguments])
        assert reading.main() == 0
        return json.loads(capsys.readouterr().out)

    where = (str(five_days.path), str(TODAY))
    assert ask("days", *where, f"--last={DAYS[1]}")["days"][-1]["day"] == str(DAYS[1])
    report = ask("report", *where)
    assert report["html"] == html_of(five_days, DAYS, lambda day: f"?first={day}&last={day}")
    alone = ask("report", *where, f"--first={DAYS[2]}", f"--last={DAYS[2]}")
    assert alone["html"] == html_of(five_days, [DAYS[2]], index=f"?last={DAYS[2]}")
    assert f'href="?last={DAYS[2]}"' in alone["html"]
    assert ask("report", *where, f"--known={report['name']}") == {"name": report["name"], "html": None}


def test_the_process_says_what_is_wrong_without_a_traceback_or_a_password(
    pipeline: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["reading", "report", str(pipeline.path), str(TODAY)])
    assert reading.main() == 3
    assert "nothing to report" in capsys.readouterr().err
    os.rename(pipeline.path, pipeline.path.with_suffix(".gone"))
    assert reading.main() == 2
    assert "Traceback" not in capsys.readouterr().err
