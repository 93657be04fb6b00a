"""A rollback needs nothing that its day made, and whatever stops it, a second one ends it."""

import shutil
import threading
from pathlib import Path

import pytest

from jobs.commands.rollback import roll_back
from jobs.running import Outcome, run_step
from jobs.steps.export import work_of_export
from pnn_gluon.config import Config
from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.exports import Export, export_step
from pnn_gluon.pipeline.inputs import Known
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.reading import Reading
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.steps import step
from tests.jobs.odd_days import day, odd_pipeline, write
from tests.jobs.test_odd_days import STEPS, begun, made, run, two_days

__all__ = ["begun", "two_days"]


def rolled_back(config: Config, number: int, to: int) -> dict[str, Outcome]:
    return {outcome.step: outcome for outcome in roll_back(config, day(number), day(to), "bad data", False)}


def test_rollback_works_on_a_kept_day(begun: Config) -> None:
    write(begun, "logs", 3, "")
    run(begun, 3)
    outcomes = rolled_back(begun, 3, 1)
    assert outcomes["promote"].details["model_day"] == outcomes["score"].details["model_day"] == str(day(1))
    assert outcomes["publish"].rows == 20


def test_rollback_works_on_a_day_whose_ingest_failed(begun: Config) -> None:
    shutil.rmtree(begun.path.parent / "logs" / str(day(3)))
    with pytest.raises(InputError):
        run(begun, 3, ("ingest",))
    assert rolled_back(begun, 3, 1)["publish"].rows == 20


def test_rollback_to_a_kept_or_missing_bundle_names_the_days_that_have_one(begun: Config) -> None:
    write(begun, "logs", 3, "")
    run(begun, 3)
    for to in (3, 4):
        with pytest.raises(InputError, match=f"the bundle of {day(to)} .*Days with a bundle: {day(1)}, {day(2)}"):
            rolled_back(begun, 4, to)
    asked = Export("check", day(3))
    with pytest.raises(InputError, match=f"the bundle of {day(3)} was not made: no model"):
        run_step(export_step(asked), begun, day(2), work=work_of_export(asked))
    assert open_store(begun).manifest("overrides", day(4)) is None


@pytest.mark.parametrize("stopped_at", ["promote", "score", "publish"])
def test_a_rollback_that_was_killed_half_way_is_ended_by_a_second(begun: Config, stopped_at: str) -> None:
    run(begun, 2, ("publish",))
    for outcome in roll_back(begun, day(2), day(1), "bad data", False):
        if outcome.step == {"promote": "rollback", "score": "promote", "publish": "score"}[stopped_at]:
            break
    outcomes = rolled_back(begun, 2, 1)
    assert outcomes["publish"].status == "done"
    assert made(begun, "published", 2).inputs[f"scores/{day(2)}"] == made(begun, "scores", 2).run
    assert made(begun, "scores", 2).details["model_day"] == str(day(1))


def test_a_rollback_while_the_day_is_scored_waits_and_scores_again(
    begun: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, promoted = threading.Event(), threading.Event()

    def slow(*given: object) -> object:
        if not inside.is_set():
            inside.set()
            assert promoted.wait(60)
        return original(*given)

    from pnn_gluon.data import ingest

    original = ingest.ingest_requests
    monkeypatch.setattr(ingest, "ingest_requests", slow)
    scoring = threading.Thread(target=lambda: run_step(step("score"), begun, day(2), force=True))
    scoring.start()
    assert inside.wait(60)
    for outcome in roll_back(begun, day(2), day(1), "bad data", False):
        if outcome.step == "promote":
            promoted.set()
    scoring.join()
    assert made(begun, "scores", 2).details["model_day"] == str(day(1))
    assert made(begun, "published", 2).inputs[f"scores/{day(2)}"] == made(begun, "scores", 2).run


def test_a_step_that_reads_before_a_rollback_and_runs_after_it_takes_what_is_in_force(
    begun: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolled = []
    read = Step.read

    def read_before(self: Step, reading: Reading) -> Known:
        known = read(self, reading)
        if self.name == "score" and not rolled:
            rolled.append(True)
            list(roll_back(begun, day(2), day(1), "bad data", False))
        return known

    monkeypatch.setattr(Step, "read", read_before)
    outcome = run_step(step("score"), begun, day(2), force=True)
    assert outcome.details["model_day"] == str(day(1))


def test_rollback_on_a_first_day_without_a_gate_names_that_there_is_no_bundle(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 1)
    write(config, "logs", 1, "")
    run(config, 1, STEPS)
    with pytest.raises(InputError, match="Days with a bundle: none"):
        rolled_back(config, 1, 1)
