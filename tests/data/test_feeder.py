import threading
from itertools import chain

import h5py
import numpy as np
import pytest

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.data import feeder as feeder_module
from pnn_gluon.data import shards
from pnn_gluon.data.feeder import Feeder
from pnn_gluon.data.shards import ShardWriter, open_shard
from pnn_gluon.data.unseen import Unseen
from pnn_gluon.errors import ConfigError, InputError

SLOTS, SIZE, CHUNK = 2, 10_000, 16
COUNTS = (53, 0, 20, 33)
TOTAL = sum(COUNTS)


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """Shards of 106 rows in chunks of 16; row n of all holds the ids n, n + 1000 and the label n % 2."""
    monkeypatch.setattr(shards, "CHUNK_ROWS", CHUNK)
    monkeypatch.setattr(feeder_module, "CHUNK_ROWS", CHUNK)
    first, paths = 0, []
    for number, count in enumerate(COUNTS):
        n = np.arange(first, first + count, dtype=np.int32)
        paths.append(tmp_path / f"day-{number}.h5")
        with ShardWriter(paths[-1], day=f"2026-01-0{number + 1}", slots=SLOTS, rate=1, size=SIZE) as shard:
            shard.append("train", np.stack([n, n + 1000], axis=1), n % 2)
        first += count
    return paths


def make(paths, **options):
    return Feeder(paths, "train", **({"batch_size": 10, "slots": SLOTS, "size": SIZE, "window_rows": 40} | options))


def numbers(batches):
    return [ids[:, 0].tolist() for ids, _ in batches]


def in_order(batches):
    return list(chain.from_iterable(numbers(batches)))


def feeding_threads():
    return [thread for thread in threading.enumerate() if thread.name == "feeder"]


def test_a_pass_gives_every_row_once_in_full_batches_and_a_short_last_one(paths):
    feeder = make(paths)
    batches = list(feeder.batches(epoch=0))
    assert [len(label) for _, label in batches] == [10] * 10 + [6]
    assert (feeder.rows, feeder.batch_count) == (TOTAL, 11)
    assert sorted(in_order(batches)) == list(range(TOTAL))
    for ids, label in batches:
        assert (ids.dtype, label.dtype) == (np.int32, np.float32)
        np.testing.assert_array_equal(ids[:, 1], ids[:, 0] + 1000)
        np.testing.assert_array_equal(label, ids[:, 0] % 2)


def test_sequential_order_is_the_order_of_the_rows(paths):
    batches = make(paths, order="sequential", batch_size=15).batches()
    assert in_order(batches) == list(range(TOTAL))


def test_order_depends_on_seed_and_epoch_and_on_nothing_else(paths):
    def order(seed, epoch):
        return numbers(make(paths, seed=seed).batches(epoch))

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_fields_are_hidden_by_draws_of_the_pass_the_shard_and_the_place_in_it(paths):
    two = FieldLayout.single_valued(("a", "b"))
    unseen = Unseen(two, 0.9, np.array([2, 4], np.int32), np.array([1, 3], np.int32), seed=5)
    feeder = make(paths, order="sequential", unseen=unseen)
    rows = np.stack([np.arange(TOTAL), np.arange(TOTAL) + 1000], axis=1).astype(np.int32)
    for epoch in (0, 1):
        expected = [
            unseen.applied(day[first : first + CHUNK], (epoch, number, first))
            for number, day in enumerate(np.split(rows, np.cumsum(COUNTS)[:-1]))
            for first in range(0, len(day), CHUNK)
        ]
        np.testing.assert_array_equal(
            np.concatenate([ids for ids, _ in feeder.batches(epoch)]), np.concatenate(expected)
        )
    assert feeder.fingerprint != make(paths, order="sequential").fingerprint


def eight_chunks(path):
    """A shard of eight whole chunks in the place of another."""
    with ShardWriter(path, day="2026-01-01", slots=SLOTS, rate=1, size=SIZE) as shard:
        n = np.arange(8 * CHUNK, dtype=np.int32)
        shard.append("train", np.stack([n, n], axis=1), n % 2)
    return path


def chunk_orders(feeder, epoch):
    """Of a pass in windows of one chunk: the first rows of the chunks, and the order of rows within each."""
    windows = np.array(in_order(feeder.batches(epoch))).reshape(-1, CHUNK)
    return (windows.min(axis=1).tolist(), [tuple(rows - rows.min()) for rows in windows])


def test_every_pass_draws_a_new_order_of_chunks_and_every_window_one_of_its_rows(paths):
    feeder = make([eight_chunks(paths[0])], window_rows=1)
    chunks, rows = zip(*(chunk_orders(feeder, epoch) for epoch in (0, 1)), strict=True)
    assert chunks[0] != chunks[1]
    assert sorted(chunks[0]) == sorted(chunks[1]) == list(range(0, 8 * CHUNK, CHUNK))
    assert len({*rows[0], *rows[1]}) == 16  # no two windows are shuffled alike, in the same pass or in another


@pytest.mark.parametrize(
    ("window_rows", "chunks"), [(CHUNK - 1, 1), (2 * CHUNK, 2), (3 * CHUNK - 1, 2), (4 * CHUNK, 4)]
)
def test_a_window_holds_as_many_whole_chunks_as_fit(paths, window_rows, chunks):
    feeder = make([eight_chunks(paths[0])], window_rows=window_rows)
    came_from = np.array(in_order(feeder.batches(0))).reshape(-1, chunks * CHUNK) // CHUNK
    assert [len(set(window)) for window in came_from.tolist()] == [chunks] * (8 // chunks)
    assert all(len(set(window[:CHUNK])) == chunks for window in came_from.tolist()), "mixed within the window"


def test_rows_of_different_shards_are_mixed(paths):
    first = np.array(in_order(make(paths, window_rows=1000).batches(0))[:50])
    assert (first < 53).any()
    assert (first >= 73).any()
    assert abs(np.corrcoef(np.arange(50), first)[0, 1]) < 0.5


@pytest.mark.parametrize("order", ["shuffled", "sequential"])
@pytest.mark.parametrize("window_rows", [1, 40, 1000])
@pytest.mark.parametrize("batch_size", [1, 7, 16, 40, 200])
def test_a_pass_begun_in_its_middle_goes_on_unchanged(paths, order, window_rows, batch_size):
    feeder = make(paths, order=order, window_rows=window_rows, batch_size=batch_size)
    whole = numbers(feeder.batches(3))
    for start in {0, 1, len(whole) // 2, len(whole) - 1, len(whole), len(whole) + 5}:
        assert numbers(feeder.batches(3, start_batch=start)) == whole[start:]


def test_windows_of_skipped_batches_are_not_read(paths, monkeypatch):
    read = []
    original = shards.Shard.read
    monkeypatch.setattr(shards.Shard, "read", lambda *args: read.append(args[0].path.name) or original(*args))
    list(make(paths, order="sequential", window_rows=CHUNK).batches(0, start_batch=10))
    assert read == ["day-3.h5", "day-3.h5"]


def test_closing_a_pass_early_ends_its_thread_and_closes_its_files(paths):
    batches = make(paths).batches(0)
    next(batches)
    assert len(feeding_threads()) == 1
    batches.close()
    assert not feeding_threads()
    with h5py.File(paths[0], "r+"):  # HDF5 refuses to write to a file that this process still reads
        pass


def test_a_finished_pass_leaves_no_thread(paths):
    list(make(paths).batches(0))
    assert not feeding_threads()


def test_ids_beyond_the_models_size_are_refused_with_file_and_row(paths):
    feeder = make(paths, size=1080, order="sequential")
    with pytest.raises(InputError, match=r"day-3.h5 train row 7: id 1080, expected ids in \[0, 1080\)"):
        list(feeder.batches())
    assert not feeding_threads()


def test_damaged_labels_are_refused_with_file_and_row(paths):
    with h5py.File(paths[0], "r+") as shard:
        shard["train/label"][20] = 7
    with pytest.raises(InputError, match=r"day-0.h5 train row 20: label 7"):
        list(make(paths).batches())


def test_errors_of_the_thread_reach_the_reader(paths):
    feeder = make(paths)
    paths[2].unlink()
    with pytest.raises(InputError, match=r"day-2\.h5"):
        next(feeder.batches())
    assert not feeding_threads()


def test_shards_of_another_width_or_without_the_share_are_refused(paths):
    with pytest.raises(InputError, match="rows of 2 ids, expected 3"):
        make(paths, slots=3)
    with pytest.raises(InputError, match="no share 'gate'"):
        Feeder(paths, "gate", batch_size=1, slots=SLOTS, size=SIZE)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"window_rows": 0}, {"seed": -1}, {"order": "random"}])
def test_options_out_of_range_are_refused(paths, options):
    with pytest.raises(ConfigError):
        make(paths, **options)


def test_fingerprint_changes_with_what_decides_the_order(paths):
    known = {make(paths).fingerprint}
    for options in ({"batch_size": 11}, {"window_rows": 41}, {"seed": 1}, {"order": "sequential"}):
        known.add(make(paths, **options).fingerprint)
    known.add(make(paths[1:]).fingerprint)
    assert len(known) == 6
    assert make(paths).fingerprint in known


def test_no_shards_give_no_batches():
    assert list(make([]).batches()) == []


def test_batches_of_one_window_do_not_share_rows_with_the_file(paths):
    for ids, _ in make(paths, order="sequential").batches():
        ids[:] = 0
    with open_shard(paths[0]) as shard:
        assert shard.read("train")[0].any()


def test_a_pass_over_more_shards_than_may_be_open_is_the_same(paths, monkeypatch):
    def order():
        return numbers(make(paths, seed=5, window_rows=CHUNK).batches())

    opened = []
    monkeypatch.setattr(feeder_module, "open_shard", lambda path: opened.append(path.name) or open_shard(path))
    together = order()
    few = len(opened)
    monkeypatch.setattr(feeder_module, "MOST_OPEN", 1)
    opened.clear()
    assert order() == together
    assert len(opened) > few
