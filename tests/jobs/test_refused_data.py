"""A day whose data were refused: it is not trained on, scores go out, later days go on, a person may let it through."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from jobs.commands.status import print_status
from jobs.day_overview import overview
from jobs.day_reports import day_reports, html_of
from jobs.running import Outcome, run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.states import day_states
from pnn_gluon.pipeline.steps import step
from tests.jobs.odd_days import day, lines, odd_pipeline, with_own_table, write
from tests.jobs.small_pipeline import UNPUBLISHED, tree

STEPS = UNPUBLISHED
"""All but publish."""

REASON = "site: 100 % of the rows have no value, 0 % before (limit 0)"


def run(config: Config, number: int, steps: tuple[str, ...] = STEPS) -> dict[str, Outcome]:
    return {name: run_step(step(name), config, day(number)) for name in steps}


def without_site(seed: int) -> str:
    """Ordinary rows without their site."""
    rows = (line.split(",") for line in lines(seed, 300).splitlines())
    return "".join(f"{label},,{price}\n" for label, _, price in rows)


@pytest.fixture(scope="module")
def refused_day(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Five days of logs; the third has no site and was made; read only."""
    config = odd_pipeline(tmp_path_factory.mktemp("refused"), 5)
    config.path.write_text(
        config.path.read_text().replace("[training]\nwindow_days = 1", "[training]\nwindow_days = 3")
    )
    config = load_config(config.path)
    write(config, "logs", 3, without_site(3))
    for number in (1, 2, 3):
        run(config, number)
    return config


@pytest.fixture
def refused(refused_day: Config, tmp_path: Path) -> Config:
    """A copy that a test may change."""
    shutil.copytree(refused_day.path.parent, tmp_path / "refused")
    return with_own_table(tmp_path / "refused")


def made(config: Config, table: str, number: int) -> Any:
    found = open_store(config).manifest(table, day(number))
    assert found is not None
    return found


def test_training_is_kept_with_the_reason_and_scores_go_out_with_the_model_in_force(refused_day: Config) -> None:
    again = run(refused_day, 3)
    assert {name: again[name].status for name in STEPS} == {
        **dict.fromkeys(STEPS, "skipped"),
        "check": "refused",
        "train": "kept",
        "calibrate": "kept",
        "gate": "kept",
    }
    assert (again["check"].exit_status, again["train"].exit_status) == (4, 4)
    assert again["train"].details["kept"] == f"the data of the day were refused: {REASON}"
    assert again["explain"].details["unexplained"].endswith(f"the data of the day were refused: {REASON}")
    assert REASON in again["promote"].details["reason"]
    assert (again["score"].rows, again["score"].details["model_day"]) == (20, str(day(2)))


def test_a_refused_day_is_left_out_of_later_windows_and_of_what_later_days_are_compared_with(refused: Config) -> None:
    after = run(refused, 4)
    rows = {number: made(refused, "samples", number).details["train"] for number in (1, 2, 3, 4)}
    assert after["train"].rows == 2 * (rows[2] + rows[4])
    assert (after["check"].status, after["check"].details["days"]) == ("done", [str(day(1)), str(day(2))])
    assert after["promote"].details["model_day"] == str(day(4))


def test_calibration_and_gate_leave_a_refused_day_out_of_their_windows(refused: Config) -> None:
    text = refused.path.read_text().replace("[calibration]", "[calibration]\nwindow_days = 3")
    refused.path.write_text(text.replace("[gate]", "[gate]\nwindow_days = 3"))
    after = run(load_config(refused.path), 4)
    for name, share in (("calibrate", "calibrate"), ("gate", "gate")):
        assert after[name].rows == sum(made(refused, "samples", number).details[share] for number in (2, 4))


def test_a_person_lets_a_day_through_by_the_configuration(refused: Config) -> None:
    run(refused, 4)
    refused.path.write_text(f'{refused.path.read_text()}\n[checks.fields.site]\nabsent = "warn"\n')
    config = load_config(refused.path)
    assert day_states(config, [day(3)])[day(3)]["train"].reasons == (f"upstream: check of {day(3)} is stale",)
    through = run(config, 3)
    assert (through["check"].status, through["train"].status) == ("done", "done")
    assert through["promote"].details["model_day"] == str(day(3))
    assert made(config, "checks", 3).details["findings"][0]["level"] == "warn"
    assert day_states(config, [day(4)])[day(4)]["train"].word == "stale"


def test_a_declared_outage_takes_the_day_out_for_good(refused: Config) -> None:
    from jobs.commands.skip_day import skip_day

    skip_day(refused, day(3), "the site was not logged", False)
    again = run(refused, 3)
    assert (again["check"].status, again["check"].details["kept"]) == ("kept", f"no rows of {day(3)}")
    assert again["train"].status == "done"  # on the days before it


def test_late_data_that_mend_the_day_train_it(refused: Config) -> None:
    write(refused, "logs", 3, lines(3, 300))
    again = run(refused, 3)
    assert (again["check"].status, again["train"].status) == ("done", "done")
    assert again["promote"].details["model_day"] == str(day(3))


def test_days_that_were_never_checked_stay_done(refused: Config) -> None:
    """Those that an earlier release made: their training does not know the checks."""
    shutil.rmtree(Path(refused.store_root) / "checks")
    states = day_states(refused, [day(2)])[day(2)]
    assert {name for name, state in states.items() if state.word == "missing"} >= {"check"}
    assert states["train"].word == "done"
    assert run_step(step("train"), refused, day(2)).status == "skipped"
    assert not [key for key in made(refused, "models", 2).inputs if key.startswith("checks/")]


def test_checks_are_the_same_bytes_when_made_again(refused_day: Config, tmp_path: Path) -> None:
    again = shutil.copytree(refused_day.path.parent, tmp_path / "again")
    shutil.rmtree(again / "store")
    config = load_config(again / "pipeline.toml")
    for number in (1, 2, 3):
        run(config, number, ("ingest", "count", "check"))
    assert tree(again / "store", ["checks"]) == tree(Path(refused_day.store_root), ["checks"])


def test_a_day_checked_before_the_one_before_it_is_stale_and_then_the_same(refused: Config) -> None:
    before = made(refused, "checks", 3).run
    path = Path(refused.store_root) / "checks" / f"ds={day(2)}.json"
    path.unlink()
    assert run_step(step("check"), refused, day(3)).details["days"] == [str(day(1))]
    run_step(step("check"), refused, day(2))
    assert "has come" in day_states(refused, [day(3)])[day(3)]["check"].reasons[0]
    assert run_step(step("check"), refused, day(3)).run == before


def test_refusals_and_warnings_are_shown(refused: Config, capsys: pytest.CaptureFixture[str]) -> None:
    write(refused, "logs", 4, lines(4, 100))
    run(refused, 4)
    capsys.readouterr()
    print_status(refused, [day(3), day(4)])
    printed = capsys.readouterr().out
    assert f"check {day(3)} refused: {REASON}" in printed
    assert f"check {day(4)} warns: volume: 100 rows, 300 a day before (limit 1.6)" in printed
    cells = [each["steps"]["check"] for each in overview(refused, [day(3), day(4)], plus(day(4), 1))["days"]]
    assert [cell["word"] for cell in cells] == ["refused", "warns"]
    assert cells[0]["reasons"] == [REASON]
    assert json.loads(json.dumps(cells)) == cells
    reports = day_reports(refused, [day(3), day(4)])
    told = [[(finding["level"], finding["check"]) for finding in report.checks] for report in reports]
    assert told == [[("fail", "absent"), ("warn", "skew")], [("warn", "volume")]]
    assert REASON in html_of(refused, [day(3), day(4)])
