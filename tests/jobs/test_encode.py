"""Shards are taken over when nothing they depend on changed, and never when told to redo or when damaged."""

import json
import os
import shutil
from pathlib import Path

import pytest

from jobs.running import run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.data.encode_part import load_map
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


def test_no_map_stays_in_memory(built: Config, caplog: pytest.LogCaptureFixture) -> None:
    run(built, caplog, force=True)
    assert load_map.cache_info().currsize == 0


def test_a_damaged_shard_is_not_taken_over(built: Config, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(built)
    manifest = store.manifest("shards", DAYS[2])
    assert manifest is not None
    shard = store.folder(manifest) / f"{DAYS[2]}.h5"
    before = shard.read_bytes()
    shard.write_bytes(before[:-1] + b"x")
    built.path.write_text(built.path.read_text().replace("window_days = 2", "window_days = 3"))
    longer = load_config(built.path)
    assert [line.split()[2] for line in run(longer, caplog)] == [str(DAYS[1])]
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
    named = [f"{DAYS[1]}.h5", f"{DAYS[1]}.others", f"{DAYS[1]}.patch", f"{DAYS[2]}.h5", f"{DAYS[2]}.others"]
    assert sorted(shards) == named
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


@pytest.mark.parametrize("suffix", ["h5", "patch", "others"])
def test_days_of_which_a_file_is_damaged_are_encoded_and_the_others_carried_on(
    built: Config, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    built.path.write_text(built.path.read_text().replace("window_days = 2", "window_days = 3"))
    longer = load_config(built.path)
    store = open_store(longer)
    build(longer, DAYS[:4], ["encode"])
    whole, before = store.manifest("shards", DAYS[3]), store.manifest("shards", DAYS[2])
    assert whole is not None
    assert before is not None
    damaged = store.folder(before) / f"{DAYS[1]}.{suffix}"
    content = damaged.read_bytes()
    damaged.unlink()  # not what other days have a link to
    damaged.write_bytes(content[:-1] + b"x")
    (Path(built.store_root) / "shards" / f"ds={DAYS[3]}.json").unlink()
    with caplog.at_level("INFO"):
        caplog.clear()
        build(longer, [DAYS[3]], ["encode"])
    said = [line.split(": ")[1].split()[0] for line in caplog.messages if "carried on" in line]
    assert said == [str(DAYS[2])]
    assert store.manifest("shards", DAYS[3]) == whole
    assert store.damages(whole) == []


def damage_unseen(path: Path) -> None:
    """Change a byte of a file, and neither its size nor its time."""
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    os.utime(path, ns=times)


def test_the_newest_shard_is_compared_before_its_other_values_are_counted(
    built: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = built.path.read_text().replace('method = "platt"', 'method = "platt"\nmaturity_days = 1')
    built.path.write_text(text)
    late = load_config(built.path)
    build(late, DAYS[1:4], ["mature"])
    build(late, [DAYS[3]], ["encode"])
    store = open_store(late)
    before = store.manifest("shards", DAYS[3])
    assert before is not None
    damage_unseen(store.folder(before) / f"{DAYS[2]}.h5")
    monkeypatch.setattr("pnn_gluon.file_hash._known", {})  # as in another process
    built.path.write_text(text.replace("window_days = 2", "window_days = 3"))
    with caplog.at_level("INFO"):
        caplog.clear()
        build(load_config(built.path), [DAYS[3]], ["encode"])
    assert [line.split()[2] for line in caplog.messages if "taken over" in line] == [str(DAYS[1])]
    again = store.manifest("shards", DAYS[3])
    assert again is not None
    assert again.details["other"] == before.details["other"]
    assert store.damages(again) == []


def test_a_shard_whose_damage_does_not_show_is_linked_and_found_by_whoever_reads_it(
    built: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(built)
    build(built, [DAYS[3]], ["encode"])
    whole, before = store.manifest("shards", DAYS[3]), store.manifest("shards", DAYS[2])
    assert whole is not None
    assert before is not None
    shard = store.folder(before) / f"{DAYS[2]}.h5"
    shutil.rmtree(Path(built.store_root) / "shards" / f"ds={DAYS[3]}")
    (Path(built.store_root) / "shards" / f"ds={DAYS[3]}.json").unlink()
    damage_unseen(shard)
    build(built, [DAYS[3]], ["encode"])
    assert store.manifest("shards", DAYS[3]) == whole
    monkeypatch.setattr("pnn_gluon.file_hash._known", {})  # as in another process
    (found,) = store.damages(whole)
    assert f"{DAYS[2]}.h5: not the bytes that were written" in found
