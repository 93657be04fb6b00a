"""Fields that come and go over night: no day before is stale, ids stay, models go on, and scores arrive."""

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.running import run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.row_slice import write_slice
from pnn_gluon.data.shards import open_shard
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step
from tests.jobs.odd_days import day, odd_pipeline
from tests.jobs.small_pipeline import DAILY, UNPUBLISHED, build, state_words

BEFORE = '{ name = "site" }, { name = "price", kind = "numeric", buckets = 4 }'
ADDED = (
    '{ name = "cost", column = "price", since = %s }, '
    '{ name = "level", column = "price", kind = "numeric", since = %s }'
)
ENCODED = DAILY[: DAILY.index("train")]
COLD = {"window_days = 1": "window_days = 2"}
WARM = {"window_days = 1": "window_days = 1\nwarm_start = true"}


def changing(folder: Path, edits: dict[str, str], steps: tuple[str, ...]) -> Config:
    """Two days, then a changed configuration: `price` ends with the second, two fields begin with the third."""
    config = odd_pipeline(folder, 4, edits)
    assert set(build(config, [day(1), day(2)], steps)) <= {"done", "kept"}
    text = config.path.read_text()
    gone = BEFORE.replace("buckets = 4", f"buckets = 4, until = {day(2)}")
    config.path.write_text(text.replace(BEFORE, f"{gone}, {ADDED % (day(3), day(3))}"))
    return load_config(config.path)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Read only."""
    return changing(tmp_path_factory.mktemp("changing"), COLD, ENCODED)


@pytest.fixture
def changed(unchanged: Config, tmp_path: Path) -> Config:
    """A copy that a test may change."""
    shutil.copytree(unchanged.path.parent, tmp_path / "changed")
    return load_config(tmp_path / "changed" / "pipeline.toml")


def details(config: Config, table: str, number: int) -> dict[str, Any]:
    manifest = open_store(config).manifest(table, day(number))
    assert manifest is not None
    return dict(manifest.details)


def folder_of(config: Config, table: str, number: int) -> Path:
    store = open_store(config)
    manifest = store.manifest(table, day(number))
    assert manifest is not None
    return store.folder(manifest)


def test_days_before_stand_and_days_after_go_on(tmp_path: Path) -> None:
    changed = changing(tmp_path, WARM | {'name = "lr"': 'name = "fnn"'}, UNPUBLISHED)
    words = state_words(changed, [day(1), day(2)])
    assert {words[day(1)][name] for name in UNPUBLISHED} == {"done"}
    stale = {name for name in UNPUBLISHED if words[day(2)][name] != "done"}
    assert stale == {"score", "report"}  # the requests of the third day have its fields
    build(changed, [day(2)], ("score", "report"))
    assert set(build(changed, [day(3), day(4)], UNPUBLISHED)) <= {"done", "kept"}
    maps = [FeatureMap.load(folder_of(changed, "maps", number) / "map.h5") for number in (1, 2, 3, 4)]
    assert all(later.continues(earlier) for earlier, later in pairwise(maps))
    assert maps[3].layout.names == ("site", "cost", "level")
    assert maps[2].unfitted == ()  # the new number's edges are fitted to its first rows
    assert details(changed, "models", 3)["started_from"]
    assert details(changed, "scores", 2)["rejects"] == 0
    for number in (2, 3, 4):
        scores = pq.read_table(folder_of(changed, "scores", number) / "scores.parquet")
        assert scores.num_rows == 20
        assert np.isfinite(scores["probability"].to_numpy()).all()


def test_rows_of_days_before_are_missing_in_a_new_field(changed: Config) -> None:
    build(changed, [day(3)], ENCODED)
    feature_map = FeatureMap.load(folder_of(changed, "maps", 3) / "map.h5")
    with open_shard(folder_of(changed, "shards", 3) / f"{day(2)}.h5") as shard:
        ids = shard.read("train")[0]
    assert set(ids[:, 1].tolist()) == {feature_map.missing_id(1)}
    assert set(ids[:, 2].tolist()) == {feature_map.missing_id(2)}
    with open_shard(folder_of(changed, "shards", 3) / f"{day(3)}.h5") as shard:
        assert feature_map.missing_id(2) not in shard.read("train")[0][:, 2].tolist()


def test_a_rerun_of_a_day_before_gives_the_same_bytes(changed: Config) -> None:
    build(changed, [day(3)], ENCODED)
    made = ("ingest", "sample", "count", "feature_map", "encode")
    store = open_store(changed)
    runs = {name: store.manifest(step(name).table.name, day(2)) for name in made}
    build(changed, [day(2)], made, force=True)
    for name in made:
        assert store.manifest(step(name).table.name, day(2)) == runs[name], name


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ('{ name = "site", until = 2026-11-03 }', "none of them is there on 2026-11-04"),
        ('{ name = "site", since = 2026-11-03 }', "none of them is there on 2026-11-01"),
        (
            '{ name = "site", since = 2026-11-03, until = 2026-11-02 }',
            "`until` 2026-11-02 is before `since` 2026-11-03",
        ),
    ],
)
def test_every_day_has_a_field(tmp_path: Path, fields: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        odd_pipeline(tmp_path, 0, {BEFORE: fields})


def test_options_speak_of_fields_that_every_day_has(tmp_path: Path) -> None:
    edits = {BEFORE: f'{BEFORE}, {{ name = "extra", column = "site", since = 2026-11-03 }}'}
    with pytest.raises(ConfigError, match=r"gate.slices: field 'extra' has `since` or `until`"):
        odd_pipeline(tmp_path, 0, {**edits, "[gate]": '[gate]\nslices = ["extra"]'})


def test_another_field_of_the_same_name_is_refused(tmp_path: Path) -> None:
    config = odd_pipeline(tmp_path, 2)
    build(config, [day(1)], DAILY[:5])
    config.path.write_text(config.path.read_text().replace("buckets = 4", "buckets = 5"))
    build(load_config(config.path), [day(2)], ("ingest", "sample", "count"))
    with pytest.raises(InputError, match=r"another field of this name.*4 buckets.*5 buckets.*another name"):
        run_step(step("feature_map"), load_config(config.path), day(2))


@pytest.mark.parametrize(("value", "rows"), [("", 1), ("a", 0)])
def test_a_slice_by_a_field_that_the_day_did_not_have_is_one_without_a_value(
    unchanged: Config, tmp_path: Path, value: str, rows: int
) -> None:
    fields, every = unchanged.on(day(2)).fields, folder_of(unchanged, "rows", 2) / "rows.parquet"
    count = write_slice(unchanged.engine, fields, every, "cost", value, tmp_path / "slice.parquet")
    assert count == rows * pq.read_metadata(every).num_rows
    assert pq.read_schema(tmp_path / "slice.parquet").names == pq.read_schema(every).names
