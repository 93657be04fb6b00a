"""A shard carried on to a grown map is read as if the day had been encoded by that map, and has the same bytes."""

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feature_map_oracle import config_of, day_number, grow, growth, write_counts
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.config import EngineConfig
from pnn_gluon.data.encoding import encode_rows, write_shard
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.sampled_rows import SampledRows
from pnn_gluon.data.shard_growth import ShardGrowth
from pnn_gluon.data.shard_others import Others, others_of
from pnn_gluon.data.shard_patch import Cells, Patch, patch_of
from pnn_gluon.data.shards import open_shard
from pnn_gluon.errors import InputError
from pnn_gluon.warehouse.duckdb_engine import connect

FIELDS: list[dict[str, Any]] = [{"name": "site"}, {"name": "ad"}, {"name": "price", "kind": "numeric", "buckets": 3}]
SETS = {"name": "tags", "kind": "multi", "separator": "|", "max_values": 3}
WORDS = [f"{name}{number}" for name in "ab" for number in range(6)]

words = st.lists(st.sampled_from([None, *WORDS, "é 'x'"]), min_size=1, max_size=60)
admitted = st.sampled_from([("site", w) for w in WORDS] + [("ad", w) for w in WORDS])
admissions = st.lists(st.lists(admitted, max_size=5), min_size=3, max_size=4)


def maps_of(folder: Path, days: list[list[tuple[str, str]]], fields: list[dict[str, Any]]) -> list[FeatureMap]:
    """A map a day; a day admits the values that are named and new."""
    rows = pa.table({"price": [1.0, 2.0, 3.0]})
    pq.write_table(rows, folder / "prices.parquet")
    maps: list[FeatureMap] = []
    for number, values in enumerate(days):
        counts = write_counts(folder / f"counts-{number}.parquet", dict.fromkeys(values, (1, 0)))
        parent = maps[-1] if maps else None
        maps.append(grow(parent, config_of(fields), day_number(number), [counts], folder / "prices.parquet", ""))
    return maps


def sample_of(folder: Path, columns: dict[str, list[Any]], copied: bool = False) -> SampledRows:
    rows = len(columns["site"])
    names = np.array(["train", "calibrate", "gate", None], object)[np.random.default_rng(rows).integers(0, 4, rows)]
    table = pa.table(columns | {"label": pa.array(np.arange(rows) % 2, pa.int8())})
    given_ = {"share": pa.array(names.tolist(), pa.string()), "rate": pa.array([0.5] * rows, pa.float64())}
    if copied:
        kept = pa.table({**{name: table[name] for name in table.column_names}, **given_})
        pq.write_table(kept.filter(kept["share"].is_valid()), folder / "sample.parquet")
        return SampledRows(folder / "sample.parquet")
    pq.write_table(table, folder / "rows.parquet")
    pq.write_table(pa.table(given_), folder / "shares.parquet")
    return SampledRows(folder / "rows.parquet", folder / "shares.parquet")


def expected(connection: Any, feature_map: FeatureMap, sample: SampledRows, share: str) -> list[list[int]]:
    """The whole day by that map."""
    found = [batch.ids for batch in encode_rows(connection, feature_map, sample, where=f"share = '{share}'")]
    return np.concatenate(found).tolist() if found else []


def carry(growth: ShardGrowth, shard: Path, path: Path) -> None:
    """As `encode` carries a shard on."""
    assert growth.carry(shard, path) is not None
    for side in (shard, others_of(shard)):
        (path.parent / side.name).hardlink_to(side)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=12)
@given(site=words, days=admissions, own=st.integers(0, 2), copied=st.booleans())
def test_carried_on_day_by_day_is_as_encoded_at_once(
    site: list[str | None], days: list[list[tuple[str, str]]], own: int, copied: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        maps = maps_of(folder, days, FIELDS)
        columns = {"site": site, "ad": site[::-1], "price": [float(n % 5) for n in range(len(site))]}
        sample, day = sample_of(folder, columns, copied), day_number(own)
        path = folder / "0" / "day.h5"
        path.parent.mkdir()
        with connect(EngineConfig()) as connection:
            write_shard(connection, maps[own], sample, path, day)
            for earlier, later in zip(maps[own:], maps[own + 1 :], strict=False):
                growth = ShardGrowth(later, earlier.size)
                assert growth.possible
                to = path.parent.with_name(str(int(path.parent.name) + 1)) / "day.h5"
                to.parent.mkdir()
                carry(growth, path, to)
                path = to
                for share in ("train", "calibrate"):
                    ids = expected(connection, later, sample, share)
                    with open_shard(path) as shard:
                        assert shard.read(share)[0].tolist() == ids
                        assert shard.read(share, 3, 7)[0].tolist() == ids[3:7]
                        assert shard.size == later.size
            (folder / "again").mkdir()
            write_shard(connection, maps[-1], sample, folder / "again" / "day.h5", day)
        assert files(folder / "again") == files(path.parent)


def aging_maps(folder: Path, days: list[list[tuple[str, str]]], expire: int, fields: list[dict[str, Any]]) -> Any:
    """A map a day; a value passes on the days that name it."""
    pq.write_table(pa.table({"price": [1.0, 2.0, 3.0]}), folder / "prices.parquet")
    maps: list[FeatureMap] = []
    for number, values in enumerate(days):
        counts = write_counts(folder / f"counts-{number}.parquet", dict.fromkeys(values, (1, 0)))
        parent, prices = maps[-1] if maps else None, folder / "prices.parquet"
        grown = growth(parent, config_of(fields), day_number(number), [counts], prices, "", expire_days=expire)
        maps.append(grown.map)
    return maps


passes = st.lists(st.lists(admitted, max_size=6), min_size=4, max_size=6)


@settings(max_examples=12)
@given(site=words, days=passes, own=st.integers(0, 2), expire=st.integers(1, 3))
def test_where_ids_expire_carried_on_day_by_day_is_as_encoded_at_once(
    site: list[str | None], days: list[list[tuple[str, str]]], own: int, expire: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        maps = aging_maps(folder, days, expire, FIELDS)
        columns = {"site": site, "ad": site[::-1], "price": [float(n % 5) for n in range(len(site))]}
        sample, day = sample_of(folder, columns), day_number(own)
        path = folder / "0" / "day.h5"
        path.parent.mkdir()
        with connect(EngineConfig()) as connection:
            write_shard(connection, maps[own], sample, path, day)
            for number, (earlier, later) in enumerate(pairwise(maps[own:]), start=1):
                growing = ShardGrowth(later, earlier.size)
                assert growing.possible
                to, at_once = (folder / f"{number} {how}" / "day.h5" for how in ("carried", "at once"))
                to.parent.mkdir()
                at_once.parent.mkdir()
                carry(growing, path, to)
                write_shard(connection, later, sample, at_once, day)
                path = to
                assert files(to.parent) == files(at_once.parent)
                for share in ("train", "calibrate"):
                    with open_shard(path) as shard:
                        assert shard.read(share)[0].tolist() == expected(connection, later, sample, share)


def test_where_ids_expire_days_with_sets_are_encoded_whole(tmp_path: Path) -> None:
    days = [[("tags", "a"), ("tags", "b"), ("site", "a0")], [("tags", "b")]]
    maps = aging_maps(tmp_path, days, 1, [{"name": "site"}, SETS])
    sample = sample_of(tmp_path, {"site": ["a0", "a1", None] * 5, "tags": ["a|b", "b|c|a", "c|x"] * 5})
    with connect(EngineConfig()) as connection:
        write_shard(connection, maps[1], sample, tmp_path / "day.h5", day_number(0))
        assert not patch_of(tmp_path / "day.h5").exists()
        with open_shard(tmp_path / "day.h5") as shard:
            for share in ("train", "calibrate"):
                assert shard.read(share)[0].tolist() == expected(connection, maps[1], sample, share)


def test_days_with_sets_are_encoded_whole(tmp_path: Path) -> None:
    fields = [{"name": "site"}, SETS]
    days = [[("tags", "a"), ("site", "a0")], [("tags", "b"), ("tags", "c"), ("site", "a1")]]
    older, newer = maps_of(tmp_path, days, fields)
    columns = {"site": ["a0", "a1", None] * 5, "tags": ["a|b", "b|c|a", "c|x"] * 5}
    sample = sample_of(tmp_path, columns)
    with connect(EngineConfig()) as connection:
        assert not ShardGrowth(newer, older.size).possible
        write_shard(connection, newer, sample, tmp_path / "day.h5", day_number(0))
        assert not patch_of(tmp_path / "day.h5").exists()
        with open_shard(tmp_path / "day.h5") as shard:
            for share in ("train", "calibrate"):
                assert shard.read(share)[0].tolist() == expected(connection, newer, sample, share)


def test_buckets_that_are_fitted_later_are_not_carried_on_but_encoded(tmp_path: Path) -> None:
    pq.write_table(pa.table({"price": pa.array([None, None], pa.float64())}), tmp_path / "none.parquet")
    pq.write_table(pa.table({"price": [1.0, 2.0, 3.0]}), tmp_path / "some.parquet")
    counts = [write_counts(tmp_path / "counts.parquet", {("site", "a0"): (1, 0)})]
    older = grow(None, config_of(FIELDS), day_number(0), counts, tmp_path / "none.parquet", "")
    newer = grow(older, config_of(FIELDS), day_number(1), counts, tmp_path / "some.parquet", "")
    sample = sample_of(tmp_path, {"site": ["a0"] * 9, "ad": ["x"] * 9, "price": [1.0, None, 3.0] * 3})
    with connect(EngineConfig()) as connection:
        assert not ShardGrowth(newer, older.size).possible
        for folder, feature_map in (("own", older), ("later", newer)):
            (tmp_path / folder).mkdir()
            write_shard(connection, feature_map, sample, tmp_path / folder / "day.h5", day_number(0))
        assert (tmp_path / "own/day.h5").read_bytes() == (tmp_path / "later/day.h5").read_bytes()
        with open_shard(tmp_path / "later/day.h5") as shard:
            assert shard.read("train")[0].tolist() == expected(connection, newer, sample, "train")


def test_days_before_a_change_of_fields_are_encoded_whole_and_carried_on_from_then_on(tmp_path: Path) -> None:
    """Two days, a third without `ad` and with a new field, and a fourth."""
    older = maps_of(tmp_path, [[("site", "a0")], [("site", "a1")]], FIELDS)[-1]
    fields = [{"name": "added"}, FIELDS[2], FIELDS[0]]
    counts = [
        write_counts(tmp_path / f"{n}.parquet", {("added", f"n{n}"): (1, 0), ("site", "a2"): (1, 0)}) for n in "23"
    ]
    changed = grow(older, config_of(fields), day_number(2), counts[:1], None, "")
    later = grow(changed, config_of(fields), day_number(3), counts[1:], None, "")
    sample = sample_of(tmp_path, {"site": ["a0", "a1", "a2"] * 9, "ad": ["x"] * 27, "price": [1.0] * 27})
    sample = SampledRows(sample.rows, sample.shares, gaps=True)
    for folder in ("changed", "carried", "again"):
        (tmp_path / folder).mkdir()
    with connect(EngineConfig()) as connection:
        assert not changed.has_fields_of(day_number(1))
        write_shard(connection, changed, sample, tmp_path / "changed" / "day.h5", day_number(0))
        growth = ShardGrowth(later, changed.size)
        carry(growth, tmp_path / "changed" / "day.h5", tmp_path / "carried" / "day.h5")
        write_shard(connection, later, sample, tmp_path / "again" / "day.h5", day_number(0))
        with open_shard(tmp_path / "carried" / "day.h5") as shard:
            ids = shard.read("train")[0]
            assert ids.tolist() == expected(connection, later, sample, "train")
    assert set(ids[:, 0].tolist()) == {later.missing_id(0)}
    assert files(tmp_path / "again") == files(tmp_path / "carried")


def test_a_shard_by_a_later_map_than_its_days_is_not_carried_on(tmp_path: Path) -> None:
    older, newer = maps_of(tmp_path, [[("site", "a0")], [("site", "a1")]], FIELDS)
    sample = sample_of(tmp_path, {"site": ["a1"] * 9, "ad": ["x"] * 9, "price": [1.0] * 9})
    with connect(EngineConfig()) as connection:
        write_shard(connection, newer, sample, tmp_path / "day.h5", day_number(1))
    with h5py.File(others_of(tmp_path / "day.h5"), "a") as file:
        file.attrs["day"] = day_number(0).isoformat()
    assert ShardGrowth(newer, older.size).carry(tmp_path / "day.h5", tmp_path / "to.h5") is None
    assert not patch_of(tmp_path / "to.h5").exists()


@pytest.mark.parametrize("content", [b"", b"no HDF5"])
def test_a_damaged_patch_is_an_error_that_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "day.patch").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as a patch of a shard"):
        open_shard(tmp_path / "day.h5")


@pytest.mark.parametrize("content", [b"", b"no HDF5"])
def test_damaged_other_values_are_an_error_that_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "day.others").write_bytes(content)
    with pytest.raises(InputError, match="encode the day again"):
        Others.read(tmp_path / "day.others")


def test_other_values_do_not_depend_on_the_batches_their_rows_come_in(tmp_path: Path) -> None:
    (feature_map,) = maps_of(tmp_path, [[("site", "a0")]], FIELDS)
    sample = sample_of(
        tmp_path, {"site": ["a0", "b1", None, "a2", "b1"] * 9, "ad": ["x", "y", None] * 15, "price": [1.0] * 45}
    )
    with connect(EngineConfig()) as connection:
        write_shard(connection, feature_map, sample, tmp_path / "one.h5", day_number(0))
        pq.write_table(pq.read_table(sample.rows), sample.rows, row_group_size=4)
        write_shard(connection, feature_map, sample, tmp_path / "many.h5", day_number(0))
    assert others_of(tmp_path / "one.h5").read_bytes() == others_of(tmp_path / "many.h5").read_bytes()


def test_a_shard_that_no_day_carries_on_has_no_other_values(tmp_path: Path) -> None:
    (feature_map,) = maps_of(tmp_path, [[]], FIELDS)
    sample = sample_of(tmp_path, {"site": ["a"], "ad": ["a"], "price": [1.0]})
    with connect(EngineConfig()) as connection:
        write_shard(connection, feature_map, sample, tmp_path / "day.h5", day_number(0), carried=False)
    assert not others_of(tmp_path / "day.h5").exists()


def test_other_values_of_a_newer_release_are_refused(tmp_path: Path) -> None:
    (feature_map,) = maps_of(tmp_path, [[]], FIELDS)
    sample = sample_of(tmp_path, {"site": ["a"], "ad": ["a"], "price": [1.0]})
    with connect(EngineConfig()) as connection:
        write_shard(connection, feature_map, sample, tmp_path / "day.h5", day_number(0))
    with h5py.File(tmp_path / "day.others", "a") as file:
        file.attrs["format"] = 2
    with pytest.raises(InputError, match="of format 2, written by a newer release"):
        Others.read(tmp_path / "day.others")


def test_a_patch_of_another_day_or_a_newer_release_is_refused(tmp_path: Path) -> None:
    (feature_map,) = maps_of(tmp_path, [[]], FIELDS)
    sample = sample_of(tmp_path, {"site": ["a"], "ad": ["a"], "price": [1.0]})
    with connect(EngineConfig()) as connection:
        write_shard(connection, feature_map, sample, tmp_path / "day.h5", day_number(0))
    Patch("2026-12-24", 99, {"train": Cells.none()}).write(tmp_path / "day.patch")
    with pytest.raises(InputError, match=r"of 2026-11-01, but its patch is of 2026-12-24"):
        open_shard(tmp_path / "day.h5")
    with h5py.File(tmp_path / "day.patch", "a") as file:
        file.attrs["format"] = 2
    with pytest.raises(InputError, match="a patch of a shard of format 2, written by a newer release"):
        Patch.read(tmp_path / "day.patch")
