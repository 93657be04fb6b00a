"""Why a day is stale: its code, an option, an input, or something upstream."""

import dataclasses
from zoneinfo import ZoneInfo

import pytest

from jobs.commands import status
from jobs.commands.rollback import roll_back
from jobs.commands.status import print_why
from jobs.running import run_step
from pnn_gluon import time_zones
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline import steps
from pnn_gluon.pipeline.states import State, day_states
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.steps import step
from tests.pipeline.test_store_of_0_1 import DAY, DAYS, old

__all__ = ["old"]


def states(config: Config) -> dict[str, State]:
    return day_states(config, [DAY])[DAY]


def changed(config: Config, before: str, after: str) -> Config:
    config.path.write_text(config.path.read_text().replace(before, after))
    return load_config(config.path)


def mended(name: str) -> tuple[Step, ...]:
    """The steps, of which one has a new version, and no earlier one stands."""
    newer = dataclasses.replace(step(name), version=9, stands=())
    return tuple(newer if each.name == name else each for each in steps.STEPS)


def test_an_option_is_told_with_both_values(old: Config) -> None:
    for name in ("ingest", "sample"):
        run_step(step(name), old, DAY, force=True)
    now = states(changed(old, "max_reject_share = 0.1", "max_reject_share = 0.2"))
    assert now["ingest"].reasons == ("configuration: source.max_reject_share 0.1 -> 0.2",)
    assert now["sample"].reasons == (f"upstream: ingest of {DAY} is stale",)


def test_a_mended_step_makes_its_days_stale(old: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "STEPS", mended("count"))
    now = states(old)
    assert now["count"].reasons == ("code: count has version 9, the day was made by version 1",)
    assert now["sample"].word == "done"
    assert run_step(step("count"), old, DAY).status == "done"
    assert states(old)["count"].reasons[1:] == ()
    assert run_step(step("count"), old, DAY).status == "skipped"


def test_a_late_file_and_one_that_changed_are_named(old: Config) -> None:
    path = old.path.parent / f"raw/logs/{DAY}.csv"
    path.write_text(path.read_text() + "late,1,a,1.0,x\n")
    assert states(old)["ingest"].reasons == (f"input: raw/logs/{DAY}.csv has changed",)
    path.unlink()
    (reason,) = states(old)["ingest"].reasons
    assert "no raw file" in reason
    assert f"pnn-gluon skip-day --config {old.path} --day {DAY} --reason" in reason


def test_days_are_stale_whose_clocks_an_update_of_the_zones_changed(
    old: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(old, "max_reject_share = 0.1", 'max_reject_share = 1.0\ntime_zone = "Europe/Berlin"')
    for name in ("ingest", "score"):
        run_step(step(name), config, DAY)
    assert states(config)["ingest"].word == "done"
    monkeypatch.setattr(time_zones, "zone_of", lambda name: ZoneInfo("Africa/Algiers"))  # as in Berlin, in winter
    assert (states(config)["ingest"].word, states(config)["ingest"].reasons) == ("done", ())
    monkeypatch.setattr(time_zones, "zone_of", lambda name: ZoneInfo("Africa/Cairo"))
    assert states(config)["ingest"].reasons == (f"input: clocks/{DAY} has changed",)
    assert f"input: clocks/{plus(DAY, 1)} has changed" in states(config)["score"].reasons
    assert run_step(step("ingest"), config, DAY).status == "done"


def test_code_and_options_are_both_told(old: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    run_step(step("ingest"), old, DAY, force=True)
    monkeypatch.setattr(steps, "STEPS", mended("ingest"))
    now = states(changed(old, "max_reject_share = 0.1", "max_reject_share = 0.2"))
    assert [reason.partition(":")[0] for reason in now["ingest"].reasons] == ["code", "configuration"]


def test_what_is_stale_upstream_is_told_beside_an_input_that_is_not_there(old: Config) -> None:
    now = states(changed(old, "min_auc = 0.1", "min_auc = 0.2"))
    assert now["gate"].word == "stale"
    assert {f"upstream: gate of {DAY} is stale", f"upstream: promote of {DAYS[1]} is stale"} <= {
        *now["promote"].reasons
    }


def test_files_that_came_and_went_are_named(old: Config) -> None:
    config = changed(old, "raw/logs/{day}.csv", "raw/logs/{day}*.csv")
    first, second = (config.path.parent / f"raw/logs/{DAY}{end}.csv" for end in ("", "-late"))
    run_step(step("ingest"), config, DAY)
    second.write_text(first.read_text().splitlines()[0] + "\nlate,1,a,1.0,x\n")
    assert states(config)["ingest"].reasons == (f"input: raw/logs/{DAY}-late.csv is new",)
    run_step(step("ingest"), config, DAY)
    assert states(config)["ingest"].word == "done"
    second.unlink()
    assert states(config)["ingest"].reasons == (f"input: raw/logs/{DAY}-late.csv is gone",)


def test_what_a_persons_decision_changes_is_named(old: Config) -> None:
    next(roll_back(old, DAY, DAYS[0], "better", clear=False))
    assert states(old)["promote"].reasons == (
        f"input: bundles/{DAYS[0]} was not read then",
        f"input: bundles/{DAY} is not read any more",
        f"input: champions/{DAYS[1]} is not read any more",
        f"input: gates/{DAY} is not read any more",
        f"input: overrides/{DAY} has come",
        f"input: recalibrated/{DAYS[1]} is not read any more",
    )
    run_step(step("promote"), old, DAY)
    assert states(old)["promote"] == State("done")
    (old.path.parent / f"store/overrides/ds={DAY}.json").unlink()
    assert f"input: overrides/{DAY} is gone" in states(old)["promote"].reasons


def test_a_failure_is_told_in_its_own_words_until_the_step_succeeds(old: Config) -> None:
    path = old.path.parent / f"raw/logs/{DAY}.csv"
    text = path.read_text()
    path.unlink()
    with pytest.raises(InputError) as failure:
        run_step(step("ingest"), old, DAY, force=True)
    path.write_text(text)
    now = states(old)
    assert now["ingest"] == State("failed", (f"InputError: {failure.value}",))
    assert now["sample"].reasons == (f"upstream: ingest of {DAY} is failed",)
    for name in ("ingest", "sample", "count"):
        run_step(step(name), old, DAY, force=True)
    assert {each.word for name, each in states(old).items() if name in ("ingest", "sample", "count")} == {"done"}


def test_an_input_that_was_made_again_is_named(old: Config) -> None:
    path = old.path.parent / f"raw/logs/{DAY}.csv"
    path.write_text(path.read_text() + "late,1,a,1.0,x\n")
    run_step(step("ingest"), old, DAY)
    assert states(old)["sample"].reasons[0].startswith(f"input: rows/{DAY} was made again (")


def test_nightly_steps_have_a_state(old: Config) -> None:
    path = old.path.parent / f"store/reevaluations/ds={DAY}.json"
    path.unlink()
    assert states(old)["reevaluate"].word == "missing"
    assert states(old)["mature"].word == "done"


def test_the_command_tells_why(old: Config, capsys: pytest.CaptureFixture[str]) -> None:
    changed(old, "epochs = 1", "epochs = 2")
    status.command(old.path, why=(str(DAY), "calibrate"))
    told = capsys.readouterr().out
    assert told.startswith(f"calibrate {DAY}: stale\n")
    assert f"upstream: train of {DAY} is stale" in told
    print_why(old, DAYS[0], "ingest")
    assert capsys.readouterr().out == f"ingest {DAYS[0]}: done\n"


@pytest.mark.parametrize(("day", "why"), [(None, None), (str(DAY), (str(DAY), "train"))])
def test_days_or_the_reason_of_one_step_are_asked_for(
    old: Config, day: str | None, why: tuple[str, str] | None
) -> None:
    with pytest.raises(ConfigError, match="say either --day"):
        status.command(old.path, day, why)
