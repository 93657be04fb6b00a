"""Shards are taken over when nothing they depend on changed, and never when told to redo or when damaged."""

from pathlib import Path

import pytest

from jobs.running import run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from tests.jobs.small_pipeline import DAYS


def run(config: Config, caplog: pytest.LogCaptureFixture, force: bool = False) -> list[str]:
    with caplog.at_level("INFO"):
        caplog.clear()
        run_step(step("encode"), config, DAYS[2], force)
    return [line for line in caplog.messages if "taken over" in line]


def test_a_longer_window_takes_the_shards_it_has_over(built: Config, caplog: pytest.LogCaptureFixture) -> None:
    built.path.write_text(built.path.read_text().replace("window_days = 2", "window_days = 3"))
    longer = load_config(built.path)
    assert len(run(longer, caplog)) == 2


def test_force_takes_nothing_over(built: Config, caplog: pytest.LogCaptureFixture) -> None:
    assert run(built, caplog, force=True) == []


def test_a_damaged_shard_is_not_taken_over(built: Config, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(built)
    manifest = store.manifest("shards", DAYS[2])
    assert manifest is not None
    shard = store.folder(manifest) / f"{DAYS[2]}.h5"
    before = shard.read_bytes()
    shard.write_bytes(before[:-1] + b"x")
    built.path.write_text(built.path.read_text().replace("window_days = 2", "window_days = 3"))
    longer = load_config(built.path)
    assert run(longer, caplog) == []
    again = store.manifest("shards", DAYS[2])
    assert again is not None
    assert (Path(store.folder(again)) / f"{DAYS[2]}.h5").read_bytes() == before
