"""A rollback while the day is being scored ends with the chosen model's scores, whoever was at work."""

import logging
import threading
from pathlib import Path

import pytest

from jobs.commands.rollback import roll_back
from jobs.running import Outcome, Work, run_step
from pnn_gluon.config import Config
from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.details import Details
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.step import Built, Step
from pnn_gluon.pipeline.steps import step
from pnn_gluon.pipeline.tables import ROWS, Table
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.store.store import Store
from tests.jobs.small_pipeline import DAYS

LAST = DAYS[-1]


@pytest.mark.parametrize("table", ["scores", "published"])
def test_a_rollback_waits_for_whoever_is_at_work(built: Config, table: str) -> None:
    outcomes: list[Outcome] = []
    waiting = threading.Event()

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if f"rollback {LAST}: {'score' if table == 'scores' else 'publish'}" in record.getMessage():
                waiting.set()

    rollback = threading.Thread(target=lambda: outcomes.extend(roll_back(built, LAST, DAYS[1], "bad data", False)))
    listening, logger = Listening(), logging.getLogger("jobs")
    logger.addHandler(listening)
    logger.setLevel(logging.INFO)
    with open_store(built).lock(f"{table}-{LAST}"):
        rollback.start()
        assert waiting.wait(60)
        rollback.join(0.3)
        assert rollback.is_alive()
    rollback.join(60)
    logger.removeHandler(listening)
    assert [outcome.step for outcome in outcomes] == ["rollback", "promote", "score", "publish", "report"]
    assert outcomes[2].details["model_day"] == str(DAYS[1])


def test_another_run_is_told_without_waiting(built: Config) -> None:
    with open_store(built).lock(f"scores-{LAST}"), pytest.raises(InputError, match="another process is at work"):
        run_step(step("score"), built, LAST, force=True)


def test_what_changes_before_the_lock_is_had_is_read_again(pipeline: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process makes the input anew between the reading of a step and its lock."""
    store, read = open_store(pipeline), []

    def make(answer: int) -> str:
        with store.staging("rows", LAST) as folder:
            return store.commit(
                "rows", LAST, folder, rows=1, inputs={}, options={}, version=1, made_by={}, details={"answer": answer}
            ).run

    def build(inputs: Inputs, folder: Path) -> Built:
        read.append(inputs[Need(ROWS)].manifest.details["answer"])
        return Built(1, {})

    staging = Store.staging

    def late(self: Store, table: str, day: object, *held: bool | None) -> object:
        if table == "answers" and not read:
            newest.append(make(2))
        return staging(self, table, LAST, *held)

    make(1)
    newest: list[str] = []
    monkeypatch.setattr(Store, "staging", late)
    made = run_step(Step("answer", Table("answers", Details), (Need(ROWS),)), pipeline, LAST, work=Work(build))
    manifest = store.manifest("answers", LAST)
    assert manifest is not None
    assert (read, made.status, manifest.inputs) == ([2], "done", {f"rows/{LAST}": newest[0]})
