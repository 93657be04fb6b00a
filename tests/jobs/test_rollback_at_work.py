"""A rollback while the day is being scored ends with the chosen model's scores, whoever was at work."""

import threading
from pathlib import Path

import pytest

from jobs.commands.rollback import roll_back
from jobs.pipeline import step
from jobs.reading import Reading
from jobs.step import Built, Outcome, Report, Step
from pnn_gluon.config import Config
from pnn_gluon.errors import InputError
from pnn_gluon.store.store import Store
from tests.jobs.small_pipeline import DAYS

LAST = DAYS[-1]


@pytest.mark.parametrize("table", ["scores", "published"])
def test_a_rollback_waits_for_whoever_is_at_work(built: Config, table: str) -> None:
    outcomes: list[Outcome] = []
    waiting = threading.Event()

    def said(text: str) -> None:
        if f"rollback {LAST}: {'score' if table == 'scores' else 'publish'}" in text:
            waiting.set()

    rollback = threading.Thread(
        target=lambda: outcomes.extend(roll_back(built, LAST, DAYS[1], "bad data", False, said))
    )
    with Store.of(built).lock(f"{table}-{LAST}"):
        rollback.start()
        assert waiting.wait(60)
        rollback.join(0.3)
        assert rollback.is_alive()
    rollback.join(60)
    assert [outcome.step for outcome in outcomes] == ["rollback", "promote", "score", "publish"]
    assert outcomes[2].details["model_day"] == str(DAYS[1])


def test_another_run_is_told_without_waiting(built: Config) -> None:
    with Store.of(built).lock(f"scores-{LAST}"), pytest.raises(InputError, match="another process is at work"):
        step("score").run(built, LAST, force=True)


def test_what_changes_before_the_lock_is_had_is_read_again(pipeline: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process makes the input anew between the reading of a step and its lock."""
    store, read = Store.of(pipeline), []

    def make(answer: int) -> str:
        with store.staging("rows", LAST) as folder:
            return store.commit(
                "rows", LAST, folder, rows=1, inputs={}, config="", made_by={}, details={"answer": answer}
            ).run

    def build(reading: Reading, folder: Path, report: Report) -> Built:
        read.append(reading.need("rows").details["answer"])
        return Built(1)

    staging = Store.staging

    def late(self: Store, table: str, day: object, wait: bool = False) -> object:
        if table == "answers" and not read:
            newest.append(make(2))
        return staging(self, table, LAST, wait)

    make(1)
    newest: list[str] = []
    monkeypatch.setattr(Store, "staging", late)
    made = Step("answer", "answers", (), lambda reading: (reading.need("rows"), None)[1], build).run(pipeline, LAST)
    manifest = store.manifest("answers", LAST)
    assert manifest is not None
    assert (read, made.status, manifest.inputs) == ([2], "done", {f"rows/{LAST}": newest[0]})
