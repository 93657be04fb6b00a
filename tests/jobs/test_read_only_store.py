"""On a store that cannot be written to, a finished day is skipped and an error is the one that happened."""

import errno
from pathlib import Path

import pytest

from jobs.pipeline import step
from pnn_gluon.config import Config
from pnn_gluon.errors import InputError
from pnn_gluon.store.store import Store
from tests.jobs.small_pipeline import DAYS

LAST = DAYS[-1]


@pytest.fixture
def read_only(built: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A failure of the last day is noted, and from now on nothing can be written or removed."""
    store = Store.of(built)
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
def test_a_finished_day_is_skipped(read_only: Config, name: str) -> None:
    said: list[str] = []
    assert step(name).run(read_only, LAST, report=said.append).status == "skipped"
    assert len(said) == 1
    assert "what an earlier run left stays for now: [Errno 30] Read-only file system" in said[0]


def test_the_error_that_happened_is_the_one_raised(read_only: Config) -> None:
    said: list[str] = []
    (Store.of(read_only).local / f"rows/ds={LAST}.json").write_text("{}")
    with pytest.raises(InputError, match="not a partition manifest"):
        step("sample").run(read_only, LAST, report=said.append)
    assert said == [f"sample {LAST}: status will not show this failure: [Errno 30] Read-only file system"]


def test_what_a_kill_left_of_the_checkpoints_goes_when_the_day_is_skipped(built: Config) -> None:
    store = Store.of(built)
    (store.scratch("models", LAST, "key") / "checkpoint").write_text("left by a kill")
    assert step("train").run(built, LAST).status == "skipped"
    assert not (store.local / ".local" / "scratch" / f"models-{LAST}").exists()
