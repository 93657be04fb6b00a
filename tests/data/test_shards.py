import numpy as np
import pytest

from pnn_gluon.data import shards
from pnn_gluon.data.shards import ShardWriter, open_shard
from pnn_gluon.errors import InputError

SLOTS, SIZE = 3, 50


def rows(count, seed=0):
    random = np.random.default_rng(seed)
    ids = random.integers(0, SIZE, (count, SLOTS), dtype=np.int32)
    return ids, (random.random(count) < 0.3).astype(np.uint8)


def write(path, ids, label, cuts=(), share="train"):
    with ShardWriter(path, day="2026-01-31", slots=SLOTS, rate=0.25, size=SIZE) as shard:
        for start, stop in zip((0, *cuts), (*cuts, len(ids)), strict=True):
            shard.append(share, ids[start:stop], label[start:stop])


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(shards, "CHUNK_ROWS", 16)


@pytest.mark.usefixtures("small_chunks")
def test_rows_and_attributes_come_back(tmp_path):
    ids, label = rows(53)
    write(tmp_path / "day.h5", ids, label, cuts=(7, 40))
    with open_shard(tmp_path / "day.h5") as shard:
        assert (shard.day, shard.slots, shard.rate, shard.size) == ("2026-01-31", SLOTS, 0.25, SIZE)
        assert shard.shares == ("calibrate", "train")
        assert (shard.rows("train"), shard.rows("calibrate")) == (53, 0)
        found, labels = shard.read("train")
        assert (found.dtype, labels.dtype) == (np.int32, np.uint8)
        np.testing.assert_array_equal(found, ids)
        np.testing.assert_array_equal(labels, label)
        np.testing.assert_array_equal(shard.read("train", 15, 33)[0], ids[15:33])
        assert shard.read("calibrate")[0].shape == (0, SLOTS)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("cuts", [(1,), (16, 32), (5, 5, 50)])
def test_equal_rows_give_equal_bytes_however_they_were_cut(tmp_path, cuts):
    ids, label = rows(53)
    write(tmp_path / "whole.h5", ids, label)
    write(tmp_path / "cut.h5", ids, label, cuts)
    assert (tmp_path / "whole.h5").read_bytes() == (tmp_path / "cut.h5").read_bytes()


def test_chunks_are_of_65536_rows_and_no_larger_than_the_share(tmp_path):
    import h5py

    ids, label = np.ones((70_000, SLOTS), np.int32), np.zeros(70_000, np.uint8)
    write(tmp_path / "large.h5", ids, label)
    write(tmp_path / "small.h5", ids[:10], label[:10])
    with h5py.File(tmp_path / "large.h5") as large, h5py.File(tmp_path / "small.h5") as small:
        assert large["train/ids"].chunks == (65536, SLOTS)
        assert large["train/ids"].compression is None
        assert small["train/ids"].chunks == (10, SLOTS)


def test_rows_are_copied_when_appended(tmp_path):
    ids, label = rows(4)
    with ShardWriter(tmp_path / "day.h5", day="2026-01-31", slots=SLOTS, rate=1, size=SIZE) as shard:
        shard.append("train", ids, label)
        kept = ids.copy()
        ids[:] = 0
    with open_shard(tmp_path / "day.h5") as shard:
        np.testing.assert_array_equal(shard.read("train")[0], kept)


def test_a_failed_writer_leaves_the_old_shard_whole(tmp_path):
    ids, label = rows(5)
    write(tmp_path / "day.h5", ids, label)
    before = (tmp_path / "day.h5").read_bytes()
    with pytest.raises(InputError, match="row 3: id 50"):
        write(tmp_path / "day.h5", np.append(ids, [[1, 2, SIZE]], axis=0).astype(np.int32), np.append(label, 1), (2,))
    assert (tmp_path / "day.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["day.h5"]


@pytest.mark.parametrize(
    ("ids", "label", "message"),
    [
        (np.ones((2, SLOTS), np.int64), np.zeros(2), "expected int32 ids"),
        (np.ones((2, SLOTS + 1), np.int32), np.zeros(2), "expected int32 ids"),
        (np.ones((2, SLOTS), np.int32), np.zeros(3), "expected int32 ids"),
        (np.array([[1, 2, 3], [1, SIZE, 3]], np.int32), np.zeros(2), r"row 1: id 50, expected ids in \[0, 50\)"),
        (np.array([[-1, 2, 3]], np.int32), np.zeros(1), "row 0: id -1"),
        (np.ones((2, SLOTS), np.int32), np.array([0, 2]), "row 1: label 2, expected 0 or 1"),
        (np.ones((1, SLOTS), np.int32), np.array([np.nan]), "row 0: label nan"),
    ],
)
def test_bad_rows_are_refused_when_written(tmp_path, ids, label, message):
    with (
        pytest.raises(InputError, match=message),
        ShardWriter(tmp_path / "day.h5", day="2026-01-31", slots=SLOTS, rate=1, size=SIZE) as shard,
    ):
        shard.append("train", ids, label)


@pytest.mark.parametrize("options", [{"rate": 0}, {"rate": 1.5}, {"slots": 0}, {"size": 0}])
def test_impossible_attributes_are_refused(tmp_path, options):
    with pytest.raises(InputError):
        ShardWriter(tmp_path / "day.h5", **({"day": "2026-01-31", "slots": SLOTS, "rate": 1, "size": SIZE} | options))


def test_unknown_shares_are_refused(tmp_path):
    write(tmp_path / "day.h5", *rows(3))
    with open_shard(tmp_path / "day.h5") as shard, pytest.raises(InputError, match="it has calibrate, train"):
        shard.rows("gate")
    with pytest.raises(InputError, match="no share 'gate'"):
        write(tmp_path / "other.h5", *rows(3), share="gate")


def test_files_that_are_no_shards_are_refused(tmp_path):
    import h5py

    with pytest.raises(InputError, match="cannot be read"):
        open_shard(tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(InputError, match="cannot be read"):
        open_shard(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other.attrs["day"] = "2026-01-31"
    with pytest.raises(InputError, match="lacks the attributes rate, size, slots"):
        open_shard(tmp_path / "other.h5")


def test_a_shard_of_the_last_release_is_read_and_one_of_a_newer_is_not(tmp_path):
    import h5py

    path = tmp_path / "day.h5"
    write(path, *rows(3))
    with h5py.File(path, "a") as file:
        assert file.attrs["format"] == shards.FORMAT
        del file.attrs["format"]
    with open_shard(path) as shard:
        assert shard.rows("train") == 3
    with h5py.File(path, "a") as file:
        file.attrs["format"] = shards.WEIGHTED_FORMAT + 1
    with pytest.raises(InputError, match="a shard of format 3, written by a newer release"):
        open_shard(path)
