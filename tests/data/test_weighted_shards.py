from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pnn_gluon.data.coded_rows import coded_rows
from pnn_gluon.data.feeder import Feeder
from pnn_gluon.data.sampled_rows import SampledRows
from pnn_gluon.data.shards import CHUNK_ROWS, ShardWriter, open_shard
from pnn_gluon.data.unseen import count_ids
from pnn_gluon.errors import InputError

SIZE = 1000


def rows(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    weight = random.integers(1, 2**32, count, dtype=np.uint32, endpoint=False)
    return random.integers(0, SIZE, (count, 2), dtype=np.int32), random.integers(0, 2, count).astype(np.uint8), weight


def write(path: Path, count: int, weighted: bool = True, batch: int = 1000, seed: int = 0) -> Path:
    ids, label, weight = rows(count, seed)
    with ShardWriter(path, day="2026-01-01", slots=2, rate=0.5, size=SIZE, weighted=weighted) as shard:
        for start in range(0, count, batch):
            part = slice(start, start + batch)
            shard.append("train", ids[part], label[part], weight[part] if weighted else None)
    return path


def test_weights_are_read_back_beside_ids_and_labels(tmp_path: Path) -> None:
    count = CHUNK_ROWS + 77
    ids, label, weight = rows(count)
    with open_shard(write(tmp_path / "day.h5", count)) as shard:
        found = shard.weights("train")
        assert shard.weighted
        assert found is not None
        assert found.dtype == np.uint32
        np.testing.assert_array_equal(found, weight)
        np.testing.assert_array_equal(shard.weights("train", 5, 9), weight[5:9])
        np.testing.assert_array_equal(shard.read("train")[0], ids)
        np.testing.assert_array_equal(shard.labels("train"), label)
        assert shard.weights("calibrate", 0, 10).shape == (0,)  # type: ignore[union-attr]


def test_bytes_do_not_depend_on_the_batches(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.h5", 3000), write(tmp_path / "b.h5", 3000, batch=7)
    assert first.read_bytes() == second.read_bytes()


def test_only_a_shard_with_weights_has_another_format(tmp_path: Path) -> None:
    found = {}
    for weighted in (False, True):
        path = write(tmp_path / f"{weighted}.h5", 10, weighted)
        with h5py.File(path) as file:
            found[weighted] = (int(file.attrs["format"]), sorted(file["train"]))
    assert found == {False: (1, ["ids", "label"]), True: (2, ["ids", "label", "weight"])}
    with open_shard(tmp_path / "False.h5") as shard:
        assert shard.weights("train") is None


@pytest.mark.parametrize(
    ("weighted", "weight", "message"),
    [
        (False, [1, 1], r"expected no weights, received \(2,\)"),
        (True, None, r"expected weights \(2,\), received none"),
        (True, [1], r"expected weights \(2,\), received \(1,\)"),
        (True, [0, 1], "weights from 1 to"),
        (True, [1, 2**32], "weights from 1 to"),
    ],
)
def test_weights_that_a_shard_cannot_have_are_refused(
    tmp_path: Path, weighted: bool, weight: list[int] | None, message: str
) -> None:
    ids, label, _ = rows(2)
    with (
        pytest.raises(InputError, match=message),
        ShardWriter(tmp_path / "day.h5", day="2026-01-01", slots=2, rate=1, size=SIZE, weighted=weighted) as shard,
    ):
        shard.append("train", ids, label, None if weight is None else np.array(weight, np.int64))


@pytest.mark.parametrize("order", ["sequential", "shuffled"])
def test_batches_have_the_weights_of_their_rows_and_ones_where_a_shard_has_none(tmp_path: Path, order: str) -> None:
    paths = [write(tmp_path / "a.h5", 700), write(tmp_path / "b.h5", 500, weighted=False, seed=1)]
    feeder = Feeder(paths, "train", batch_size=64, slots=2, size=SIZE, order=order, window_rows=512)  # type: ignore[arg-type]
    columns = [np.concatenate(column) for column in zip(*feeder.batches(epoch=1), strict=True)]
    assert columns[2].dtype == np.float32
    parts = [rows(700), (*rows(500, 1)[:2], np.ones(500))]
    expected = [np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True)]
    found, wanted = (np.column_stack([c.astype(np.float64) for c in each]) for each in (columns, expected))
    wanted[:, 3] = wanted[:, 3].astype(np.float32)
    if order == "shuffled":
        assert not np.array_equal(found, wanted)
        found, wanted = (each[np.lexsort(each.T)] for each in (found, wanted))
    np.testing.assert_array_equal(found, wanted)
    assert feeder.impressions == int(rows(700)[2].sum(dtype=np.int64)) + 500


def test_a_pass_begun_in_its_middle_goes_on_with_the_same_weights(tmp_path: Path) -> None:
    feeder = Feeder([write(tmp_path / "a.h5", 700)], "train", batch_size=64, slots=2, size=SIZE, window_rows=100)
    whole, rest = list(feeder.batches(3)), list(feeder.batches(3, 4))
    assert len(rest) == len(whole) - 4
    for one, other in zip(whole[4:], rest, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_shards_without_weights_give_batches_without_them(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", 100, weighted=False)
    feeder = Feeder([path], "train", batch_size=64, slots=2, size=SIZE)
    assert [len(batch) for batch in feeder.batches()] == [2, 2]
    assert feeder.impressions == feeder.rows == 100


def test_ids_are_counted_by_weight() -> None:
    ids = np.array([[1, 2], [2, 2], [0, 1]], np.int32)
    weight = np.array([3, 16_777_216, 5], np.float32)
    found = count_ids(
        [(ids[:2], np.zeros(2, np.float32), weight[:2]), (ids[2:], np.zeros(1, np.float32), weight[2:])], 4
    )
    np.testing.assert_array_equal(found, np.bincount(ids.ravel(), np.repeat(weight.astype(float), 2), 4))


@pytest.mark.parametrize("group", [3, 5, 100])
def test_coded_rows_carry_the_weight_in_the_sample(tmp_path: Path, group: int) -> None:
    shares = ["train", None, "calibrate", "train", "gate", "train", None]
    sampled = [3, None, 7, 1, 2, 9, None]
    files = tmp_path / "rows.parquet", tmp_path / "shares.parquet"
    pq.write_table(
        pa.table({"label": [0, 0, 1, 1, 0, 0, 0], "weight": [6, 1, 7, 1, 2, 18, 1]}), files[0], row_group_size=group
    )
    pq.write_table(pa.table({"share": shares, "weight": pa.array(sampled, pa.int64())}), files[1])
    batches = list(coded_rows(SampledRows(*files), [], ["label", "weight"], ["train", "calibrate"]))
    assert [row for batch in batches for row in batch.column(1).to_pylist()] == [3, 7, 1, 9]
    assert [row for batch in batches for row in batch.column(2).to_pylist()] == ["train", "calibrate", "train", "train"]
