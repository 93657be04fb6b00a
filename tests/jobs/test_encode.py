"""Shards are taken over when nothing they depend on changed, and never when told to redo or when damaged."""

import json
from pathlib import Path

import pytest

from jobs.running import run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from tests.jobs.small_pipeline import DAYS, build, tree


def run(config: Config, caplog: pytest.LogCaptureFixture, force: bool = False) -> list[str]:
    with caplog.at_level("INFO"):
        caplog.clear()
        run_step(step("encode"), config, DAYS[2], force)
    return [line for line in caplog.messages if "taken over" in line]


def test_a_longer_window_takes_the_shards_it_has_over(built: Config, caplog: pytest.LogCaptureFixture) -> None:
    built.path.write_text(built.path.read_text().replace("window_days = 2", "window_days = 3"))
    longer = load_config(built.path)
    assert len(run(longer, caplog)) == 2


def test_the_page_of_a_day_tells_what_the_map_reads_as_other(built: Config) -> None:
    store = open_store(built)
    run_step(step("check"), built, DAYS[2])
    run_step(step("report"), built, DAYS[2])
    shards, report = (store.manifest(table, DAYS[2]) for table in ("shards", "reports"))
    assert shards is not None
    assert report is not None
    other = shards.details["other"]
    assert all(0 <= share <= 1 for share in other.values())
    assert max(other.values()) > 0
    shown = json.loads(store.content(report, "report.json"))["fields"]
    assert {each["field"]: each["other"] for each in shown} == other


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


def test_shards_of_another_map_are_not_taken_over(built: Config) -> None:
    before = tree(Path(built.store_root), ["shards"])
    built.path.write_text(built.path.read_text().replace("min_impressions = 5", "min_impressions = 50"))
    smaller = load_config(built.path)
    build(smaller, DAYS[:3], ["feature_map"])
    build(smaller, [DAYS[2]], ["encode"])
    store = open_store(smaller)
    encoded = store.manifest("shards", DAYS[2])
    assert encoded is not None
    shards = {path.name: path.read_bytes() for path in store.folder(encoded).iterdir()}
    assert sorted(shards) == [f"{DAYS[1]}.h5", f"{DAYS[1]}.patch", f"{DAYS[2]}.h5"]
    assert not set(shards.values()) & set(before.values())
    build(smaller, [DAYS[2]], ["encode"], force=True)
    assert store.manifest("shards", DAYS[2]) == encoded


def test_a_window_encodes_one_day_and_carries_the_others_on_to_the_same_bytes(
    built: Config, caplog: pytest.LogCaptureFixture
) -> None:
    built.path.write_text(built.path.read_text().replace("window_days = 2", "window_days = 3"))
    longer = load_config(built.path)
    store = open_store(longer)
    build(longer, DAYS[:3], ["encode"])
    (Path(built.store_root) / "shards" / f"ds={DAYS[3]}.json").unlink()
    with caplog.at_level("INFO"):
        caplog.clear()
        build(longer, [DAYS[3]], ["encode"])
    said = [line.split(": ")[1] for line in caplog.messages if line.startswith(f"encode {DAYS[3]}: ")]
    assert [line.split()[0] for line in said] == [str(day) for day in DAYS[1:4]]
    assert ["carried on" in line for line in said] == [True, True, False]
    carried, before = store.manifest("shards", DAYS[3]), store.manifest("shards", DAYS[2])
    assert carried is not None
    assert before is not None
    for day in DAYS[1:3]:
        files = [store.folder(each) / f"{day}.h5" for each in (carried, before)]
        assert files[0].samefile(files[1])
    build(longer, [DAYS[3]], ["encode"], force=True)
    assert store.manifest("shards", DAYS[3]) == carried


def test_another_map_of_yesterday_is_not_carried_on(built: Config, caplog: pytest.LogCaptureFixture) -> None:
    built.path.write_text(built.path.read_text().replace("min_impressions = 5", "min_impressions = 50"))
    smaller = load_config(built.path)
    build(smaller, DAYS[:3], ["feature_map"])
    assert "carried on" not in " ".join(run(smaller, caplog) + caplog.messages)
