"""On a store that cannot be written to, a finished day is skipped and an error is the one that happened."""

import errno
from pathlib import Path

import pytest

from jobs.running import run_step
from pnn_gluon.config import Config
from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from tests.jobs.small_pipeline import DAYS

LAST = DAYS[-1]


@pytest.fixture
def read_only(built: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A failure of the last day is noted, and from now on nothing can be written or removed."""
    store = open_store(built)
    for table in ("rows", "models"):
        store.record_failure(table, LAST, "an earlier failure")
    (store.scratch("models", LAST, "key") / "checkpoint").write_text("left by a kill")

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("pnn_gluon.store.store.write_atomically", refuse)
    for method in ("unlink", "rename", "mkdir"):
        monkeypatch.setattr(Path, method, refuse)
    return built


@pytest.mark.parametrize("name", ["ingest", "train"])
def test_a_finished_day_is_skipped(read_only: Config, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert run_step(step(name), read_only, LAST).status == "skipped"
    assert len(caplog.messages) == 1
    assert "what an earlier run left stays for now: [Errno 30] Read-only file system" in caplog.messages[0]


def test_the_error_that_happened_is_the_one_raised(read_only: Config, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    (open_store(read_only).local / f"rows/ds={LAST}.json").write_text("{}")
    with pytest.raises(InputError, match="not a partition manifest"):
        run_step(step("sample"), read_only, LAST)
    assert caplog.messages == [f"sample {LAST}: status will not show this failure: [Errno 30] Read-only file system"]


def test_what_a_kill_left_of_the_checkpoints_goes_when_the_day_is_skipped(built: Config) -> None:
    store = open_store(built)
    (store.scratch("models", LAST, "key") / "checkpoint").write_text("left by a kill")
    assert run_step(step("train"), built, LAST).status == "skipped"
    assert not (store.local / ".local" / "scratch" / f"models-{LAST}").exists()
