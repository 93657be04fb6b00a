"""The store without its old runs is the same store: every day stands, and what a champion points to is there."""

import datetime
import json
from pathlib import Path

import pytest

from jobs.commands import gc
from jobs.commands.rollback import roll_back
from jobs.commands.verify import verify
from pnn_gluon.config import Config, load_config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.store import old_runs as module
from tests.jobs.small_pipeline import DAYS, build, state_words

LAST = DAYS[-1]


def collected(config: Config, capsys: pytest.CaptureFixture[str], delete: bool) -> dict[str, int]:
    capsys.readouterr()
    gc.command(config.path, delete=delete, hours=1.0)
    told: dict[str, int] = json.loads(capsys.readouterr().out.splitlines()[-1])["details"]
    return told


@pytest.fixture
def days_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything was written long before."""
    found = module.old_runs
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=9)
    monkeypatch.setattr(gc, "old_runs", lambda store, before: found(store, later))


def test_days_made_again_leave_old_runs_that_go_and_nothing_else_changes(
    built: Config, capsys: pytest.CaptureFixture[str], days_ago: None
) -> None:
    assert collected(built, capsys, delete=True)["removed"] == 0
    built.path.write_text(built.path.read_text().replace("epochs = 2", "epochs = 3"))
    config = load_config(built.path)
    list(roll_back(config, LAST, DAYS[1], "bad data", False))
    build(config, [LAST], ["train", "calibrate", "evaluate", "gate", "promote", "score"])
    store = open_store(config)
    before = {path for path in Path(config.store_root).rglob("*") if path.is_file()}
    shown = collected(config, capsys, delete=False)
    assert shown["runs"] > 0
    assert shown["removed"] == 0
    assert {path for path in Path(config.store_root).rglob("*") if path.is_file()} - before == set()
    gone = collected(config, capsys, delete=True)
    assert (gone["removed"], gone["freed"]) == (shown["runs"], shown["bytes"])
    assert not [damage for check in verify(store, None) for damage in check.damages]
    assert "damaged" not in state_words(config, [LAST])[LAST].values()
    build(config, [LAST], ["train", "calibrate", "gate", "promote", "score"])
    assert collected(config, capsys, delete=False)["runs"] == 0


def test_what_was_replaced_just_now_stays(built: Config, capsys: pytest.CaptureFixture[str]) -> None:
    built.path.write_text(built.path.read_text().replace("epochs = 2", "epochs = 3"))
    build(load_config(built.path), [LAST], ["train"])
    assert collected(built, capsys, delete=True)["runs"] == 0
