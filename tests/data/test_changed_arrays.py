"""Maps, shards and what lies beside them are refused where arrays do not fit: none is read beyond its end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest
from feature_map_oracle import config_of, day_number, grow, write_counts

from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.hdf5_writing import written_hdf5
from pnn_gluon.data.packed_numbers import put_packed
from pnn_gluon.data.shard_others import Others, OthersSeen
from pnn_gluon.data.shard_patch import Cells, Patch, patch_of
from pnn_gluon.data.shards import ShardWriter, open_shard
from pnn_gluon.errors import InputError

Change = Callable[[Any], None]


def put(name: str, values: Any) -> Change:
    def change(file: Any) -> None:
        del file[name]
        file[name] = values

    return change


def large(name: str, kind: str) -> Change:
    def change(file: Any) -> None:
        del file[name]
        file.create_dataset(name, (2**40,), kind, chunks=(64,))

    return change


def attribute(name: str, value: object) -> Change:
    return lambda file: file.attrs.update({name: value})


def changed(path: Path, change: Change) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


MAPS = {
    "texts beyond the content": put("value_offsets", np.array([0] * 5 + [2**40], np.int64)),
    "texts before the content": put("value_offsets", np.array([0, -8, 0, 0, 0, 1], np.int64)),
    "texts of another type": put("value_offsets", np.zeros(6, np.int32)),
    "text that is none": put("value_bytes", np.array([0xFF], np.uint8)),
    "fewer counts": put("impressions", np.zeros(4, np.int64)),
    "a field that there is not": put("field", np.array([-1, 0, 0, 7, 0], np.int16)),
    "no field": put("field", np.full(5, -1, np.int16)),
    "more than the file holds": large("value_bytes", "u1"),
    "fields of another type": put("fields", np.frombuffer(b"[5]", np.uint8)),
    "no JSON": put("fields", np.frombuffer(b"[", np.uint8)),
    "no day": attribute("day", "9999-99-99"),
}


@pytest.mark.parametrize("what", MAPS)
def test_a_map_whose_arrays_do_not_fit_is_refused(tmp_path: Path, what: str) -> None:
    counts = write_counts(tmp_path / "counts.parquet", {("site", "a"): (9, 1), ("site", "b"): (8, 1)})
    path = tmp_path / "map.h5"
    grow(None, config_of([{"name": "site"}]), day_number(0), [counts], None, "").save(path)
    assert FeatureMap.load(path).size == 5
    with pytest.raises(InputError, match=r"map\.h5: expected a feature map"):
        FeatureMap.load(changed(path, MAPS[what]))


SHARDS = {
    "fewer labels": put("train/label", np.zeros(9, np.uint8)),
    "wider rows": put("train/ids", np.zeros((10, 4), np.int32)),
    "ids of another type": put("train/ids", np.zeros((10, 3), np.float32)),
    "no columns": put("train", np.zeros(3)),
    "more than the file holds": large("train/label", "u1"),
    "slots that are no number": attribute("slots", "x"),
    "a rate that is no number": attribute("rate", "x"),
}


@pytest.mark.parametrize("what", SHARDS)
def test_a_shard_whose_arrays_do_not_fit_is_refused(tmp_path: Path, what: str) -> None:
    path = written(tmp_path)
    with pytest.raises(InputError, match=r"a\.h5: not an encoded shard"):
        open_shard(changed(path, SHARDS[what]))


PATCHES = {
    "a row that there is not": put("train/row", np.array([3, 10])),
    "a row before the first": put("train/row", np.array([-1, 3])),
    "a slot that there is not": put("train/slot", np.array([0, 3], np.int32)),
    "an id that there is not": put("train/id", np.array([1, 30], np.int32)),
    "fewer ids": put("train/id", np.array([1], np.int32)),
    "rows that do not rise": put("train/row", np.array([5, 3])),
    "rows of another type": put("train/row", np.array([3.0, 5.0])),
    "more than the file holds": large("train/row", "i8"),
    "a size that is no number": attribute("size", "x"),
}


@pytest.mark.parametrize("what", PATCHES)
def test_a_patch_that_does_not_fit_its_shard_is_refused(tmp_path: Path, what: str) -> None:
    path = written(tmp_path)
    with open_shard(path) as shard:
        assert shard.read("train")[0][3].tolist() == [25, 1, 1]
    changed(patch_of(path), PATCHES[what])
    with pytest.raises(InputError, match=r"a\.(h5|patch): "):
        open_shard(path)


def packed(name: str, values: Any) -> Change:
    def change(file: Any) -> None:
        with written_hdf5(Path(file.filename).with_name("packed.h5")) as writing:
            put_packed(writing, "values", values)
        del file[name]
        with h5py.File(Path(file.filename).with_name("packed.h5"), "r") as source:
            source.copy("values", file, name)

    return change


def said(name: str, **attributes: object) -> Change:
    return lambda file: file[name].attrs.update(attributes)


OTHERS = {
    "words beyond the bytes": packed("length", np.array([1, 9])),
    "a word that is no text": packed("bytes", np.array([0xFF, 98])),
    "words of other numbers than bytes": packed("bytes", np.array([97, 300])),
    "fewer slots": packed("slot", np.array([1])),
    "slots that do not rise": packed("slot", np.array([2, 1])),
    "fewer counts": packed("train/count", np.array([3])),
    "more rows than there are": packed("train/count", np.array([1, 200])),
    "what is not packed": put("train/row", np.zeros(3, np.uint8)),
    "numbers with signs": said("train/row", type="|i1"),
    "more numbers than were packed": said("train/row", count=4),
    "fewer numbers than were packed": said("train/row", count=2),
    "less than no numbers": said("train/row", count=-1),
    "more than can have been packed": said("train/row", count=2**50),
    "numbers of no type": said("train/row", type="x"),
    "bytes that are not packed": lambda file: file["train/row"].write_direct(
        np.arange(file["train/row"].size, dtype=np.uint8)
    ),
    "more than the file holds": large("train/row", "u1"),
    "a size that is no number": attribute("size", "x"),
    "a day that is none": attribute("day", "x"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_values_whose_arrays_do_not_fit_are_refused(tmp_path: Path, what: str) -> None:
    seen = OthersSeen(["train"])
    seen.add(1, "train", np.array([0, 2]), pa.array(["a", "a"]))
    seen.add(2, "train", np.array([4]), pa.array(["b"]))
    path = tmp_path / "a.others"
    seen.write(path, "2026-11-01", 20)
    cells = Others.read(path).cells({1: pa.table({"value": ["a", "c"], "id": pa.array([25, 26], pa.int32())})})
    assert [column.tolist() for column in cells["train"]] == [[0, 2], [1, 1], [25, 25]]
    with pytest.raises(InputError, match=r"a\.others: cannot be read as the other values"):
        Others.read(changed(path, OTHERS[what]))


def written(folder: Path) -> Path:
    """A shard of ten rows of ones, and a patch of two cells."""
    path = folder / "a.h5"
    with ShardWriter(path, day="2026-11-01", slots=3, rate=1.0, size=20) as shard:
        shard.append("train", np.ones((10, 3), np.int32), np.zeros(10, np.uint8))
    cells = Cells(np.array([3, 5]), np.array([0, 1], np.int32), np.array([25, 26], np.int32))
    Patch("2026-11-01", 30, {"train": cells}).write(patch_of(path))
    return path
