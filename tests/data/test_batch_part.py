"""Batches divided over workers, each of which reads no more than its part."""

import numpy as np
import pytest

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.data import feeder as feeder_module
from pnn_gluon.data import shards
from pnn_gluon.data.batch_part import WHOLE, BatchPart
from pnn_gluon.data.feeder import Feeder
from pnn_gluon.data.shards import ShardWriter
from pnn_gluon.data.unseen import Unseen
from pnn_gluon.errors import ConfigError

SIZE, CHUNK = 10_000, 16
COUNTS = (53, 0, 20, 33, 100)


@pytest.fixture(params=[False, True], ids=["plain", "weighted"])
def paths(request, tmp_path, monkeypatch):
    """Shards in chunks of 16; row n of all has the ids n + 1 and n + 1001, and the weight n % 5 + 1."""
    monkeypatch.setattr(shards, "CHUNK_ROWS", CHUNK)
    monkeypatch.setattr(feeder_module, "CHUNK_ROWS", CHUNK)
    first, paths = 1, []
    for number, count in enumerate(COUNTS):
        n = np.arange(first, first + count, dtype=np.int32)
        paths.append(tmp_path / f"day-{number}.h5")
        weighted = request.param and number != 2
        with ShardWriter(paths[-1], day="2026-01-01", slots=2, rate=1, size=SIZE, weighted=weighted) as shard:
            weight = (n % 5 + 1).astype(np.uint32) if weighted else None
            shard.append("train", np.stack([n, n + 1000], axis=1), n % 2, weight)
        first += count
    return paths


def make(paths, part, **options):
    return Feeder(
        paths, "train", **({"batch_size": 10, "slots": 2, "size": SIZE, "window_rows": 40} | options), part=part
    )


def parts_of(count, devices=1):
    return [BatchPart(first, first + devices, count) for first in range(0, count, devices)]


def columns(batches):
    return [tuple(column.tolist() for column in batch) for batch in batches]


@pytest.mark.parametrize("window_rows", [1, 40, 1000])
@pytest.mark.parametrize(
    ("batch_size", "count", "devices"), [(10, 2, 1), (7, 3, 1), (9, 4, 2), (100, 5, 1), (205, 2, 1)]
)
def test_parts_laid_end_to_end_are_the_batches_of_one_process(paths, window_rows, batch_size, count, devices):
    options = {"window_rows": window_rows, "batch_size": batch_size}
    drawn, whole = (list(make(paths, part, **options).batches(3)) for part in (None, WHOLE))
    for batch, ordered in zip(drawn, whole, strict=True):
        assert sorted(map(tuple, batch[0].tolist())) == sorted(map(tuple, ordered[0].tolist()))
    read = [list(make(paths, part, **options).batches(3)) for part in parts_of(count, devices)]
    joined = [tuple(map(np.concatenate, zip(*batch, strict=True))) for batch in zip(*read, strict=True)]
    assert columns(joined) == columns(whole)
    for batch in zip(*read, strict=True):
        expected = np.array_split(np.arange(sum(len(part[0]) for part in batch)), count)
        assert [len(part[0]) for part in batch] == [
            sum(map(len, expected[first : first + devices])) for first in range(0, count, devices)
        ]


@pytest.mark.parametrize("part", [WHOLE, *parts_of(3)])
def test_a_part_begun_in_the_middle_of_a_pass_goes_on_unchanged(paths, part):
    feeder = make(paths, part)
    whole = columns(feeder.batches(3))
    for start in (0, 1, 3, len(whole) // 2, len(whole) - 1, len(whole), len(whole) + 5):
        assert columns(feeder.batches(3, start)) == whole[start:]


def test_the_same_fields_are_hidden_in_parts(paths):
    two = FieldLayout.single_valued(("a", "b"))
    unseen = Unseen(two, 0.4, np.array([2, 4], np.int32), np.array([1, 3], np.int32), seed=5)
    whole, *parts = (list(make(paths, part, unseen=unseen).batches(1)) for part in (WHOLE, *parts_of(2)))
    assert columns(tuple(map(np.concatenate, zip(*both, strict=True))) for both in zip(*parts, strict=True)) == columns(
        whole
    )


def test_a_worker_reads_the_rows_of_its_parts_and_no_others(paths, monkeypatch):
    monkeypatch.setattr(feeder_module, "_GAP", 1)
    read = []
    original = shards.Shard.read

    def noted(shard, share, start, stop):
        read.extend((shard.path.name, row) for row in range(start, stop))
        return original(shard, share, start, stop)

    monkeypatch.setattr(shards.Shard, "read", noted)
    for part in parts_of(2):
        read.clear()
        own = sum(len(batch[0]) for batch in make(paths, part).batches())
        assert len(read) == len(set(read)) == own == sum(COUNTS) // 2


def test_the_rows_of_a_part_lie_close_together(tmp_path):
    rows = 20_000
    path = tmp_path / "day.h5"
    with ShardWriter(path, day="2026-01-01", slots=1, rate=1, size=rows + 1) as shard:
        shard.append("train", np.arange(1, rows + 1, dtype=np.int32).reshape(-1, 1), np.arange(rows) % 2)
    for number, part in enumerate(parts_of(4)):
        feeder = Feeder([path], "train", batch_size=1000, slots=1, size=rows + 1, part=part)
        places = np.sort(np.concatenate([ids[:, 0] for ids, _ in feeder.batches()])) / rows
        assert len(places) == rows // 4
        # the quarter of 1,000 random places ends at one quarter give or take 0.0137, six times that at the very most
        assert number / 4 - 0.09 < places[0] < places[-1] < (number + 1) / 4 + 0.09


def test_batches_with_fewer_rows_than_parts_are_refused(paths):
    with pytest.raises(ConfigError, match="shuffled batches of 10 rows are not divided into 11 parts"):
        make(paths, BatchPart(0, 1, 11))
    with pytest.raises(ConfigError, match="sequential batches"):
        make(paths, WHOLE, order="sequential")


def test_all_parts_have_the_fingerprint_of_the_whole_that_is_not_of_batches_as_drawn(paths):
    found = {make(paths, part).fingerprint for part in (WHOLE, *parts_of(2))}
    assert len(found) == 1
    assert make(paths, None).fingerprint not in found
