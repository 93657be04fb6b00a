"""Batches for training and evaluation, streamed from encoded shards.

A pass reads whole chunks, in windows of several chunks that are shuffled in memory. One thread reads ahead.
Every order is drawn from (seed, epoch), so a pass can be begun again in its middle and goes on unchanged.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Batch
from pnn_gluon.data.batch_part import WHOLE, BatchPart, Places, order_keys, own_places
from pnn_gluon.data.read_ahead import read_ahead
from pnn_gluon.data.shards import CHUNK_ROWS, Shard, bad_row_message, first_bad_row, open_shard
from pnn_gluon.data.unseen import Unseen
from pnn_gluon.errors import ConfigError, InputError

MOST_OPEN = 128
"""Shards that a pass has open at once."""

_GAP = 256
"""Rows that are read for nothing rather than read around."""

_Columns = tuple[NDArray[Any], ...]
"""Of rows: ids, labels, weights where there are any, and what orders them within their batch where something does."""


@dataclass(frozen=True)
class _Chunk:
    """Rows first <= row < first + rows of shard number `shard`."""

    shard: int
    first: int
    rows: int


@dataclass(frozen=True)
class _Window:
    """Chunks that are shuffled together, number `number` of a pass."""

    number: int
    chunks: tuple[_Chunk, ...]

    @property
    def rows(self) -> int:
        return sum(chunk.rows for chunk in self.chunks)


class Feeder:
    """Streams the rows of one share of several shards in batches, each row once a pass.

    In `shuffled` order the chunks of all shards come in an order drawn from (seed, epoch); windows of at least one
    chunk and at most `window_rows` rows are shuffled whole. In `sequential` order rows come as written, shard
    after shard. The last batch of a pass may be short.

    With a `part`, batches are of the same rows, ordered by place (see `pnn_gluon.data.batch_part`). The part of each is
    read and given; it may be empty in a short last batch.

    Args:
        paths: The shards, in a fixed order (it is part of what the order of rows depends on).
        share: Group to read, such as `train`.
        batch_size: Rows B of a batch.
        seed: Decides the order, with the epoch.
        window_rows: Rows that are shuffled together; more is better mixed and takes more memory,
            about 3 x 4 S bytes a row.
        slots: Expected width S of a row.
        size: Number of ids V of the model; every id must be below it.
        order: `shuffled` or `sequential`.
        unseen: Hides some fields, others in every pass.
        part: The part of every batch that is read; None for all rows in the order in which they were drawn.

    Raises:
        ConfigError: an option out of range.
        InputError: a shard is missing, has another width, or (while reading) an id outside [0, size) or a label
            other than 0 and 1; the message names file and row.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        share: str,
        *,
        batch_size: int,
        slots: int,
        size: int,
        seed: int = 0,
        window_rows: int = 8 * CHUNK_ROWS,
        order: Literal["shuffled", "sequential"] = "shuffled",
        unseen: Unseen | None = None,
        part: BatchPart | None = None,
    ) -> None:
        if batch_size < 1 or window_rows < 1 or seed < 0:
            raise ConfigError(
                f"a feeder needs batch_size >= 1, window_rows >= 1 and seed >= 0, "
                f"not {batch_size}, {window_rows} and {seed}"
            )
        if order not in {"shuffled", "sequential"}:
            raise ConfigError(f"order must be 'shuffled' or 'sequential', not {order!r}")
        if part is not None and (order == "sequential" or batch_size < part.of):
            raise ConfigError(f"{order} batches of {batch_size} rows are not divided into {part.of} parts")
        self._paths, self._share, self._order = tuple(paths), share, order
        self._batch_size, self._window_rows = batch_size, window_rows
        self._seed, self._slots, self._size, self._unseen, self._part = seed, slots, size, unseen, part
        self._weighted = False
        self._shard_rows = tuple(self._rows(path) for path in self._paths)

    def _rows(self, path: Path) -> int:
        with open_shard(path) as shard:
            self._weighted |= shard.weighted
            if shard.slots != self._slots:
                raise InputError(f"{path}: rows of {shard.slots} ids, expected {self._slots}; encode the day again")
            return shard.rows(self._share)

    @property
    def rows(self) -> int:
        """Number of rows of a pass."""
        return sum(self._shard_rows)

    @property
    def impressions(self) -> int:
        """What the rows of a pass stand for: the sum of their weights, or their number where they have none."""
        return sum(map(self._impressions, self._paths)) if self._weighted else self.rows

    def _impressions(self, path: Path) -> int:
        with open_shard(path) as shard:
            weight = shard.weights(self._share)
            return shard.rows(self._share) if weight is None else int(weight.sum(dtype=np.int64))

    @property
    def batch_count(self) -> int:
        """Number of batches of a pass."""
        return -(-self.rows // self._batch_size)

    @property
    def fingerprint(self) -> str:
        """Hash of everything the order of rows depends on, except the bytes of the shards; of all parts the same."""
        what = (self._share, self._order, self._batch_size, self._window_rows, self._seed, self._shard_rows)
        names = (*(path.name for path in self._paths), *([self._unseen.fingerprint] if self._unseen else []))
        names += ("weighted",) if self._weighted else ()
        names += ("by place",) if self._part is not None else ()
        return hashlib.sha256(repr((what, names)).encode()).hexdigest()

    def batches(self, epoch: int = 0, start_batch: int = 0) -> Generator[Batch, None, None]:
        """The batches of a pass from number `start_batch` on: ids int32 (B, S), labels float32 (B,).

        Where a shard has weights, these come third, float32 (B,), 1 for the rows of a shard without.

        What is yielded does not depend on `start_batch`: earlier batches are left out, and windows that hold
        only rows of earlier batches are not read. Closing the iterator early stops the thread and closes the files.
        """
        windows = _windows(self._chunks(epoch), self._window_rows)
        skip = start_batch * self._batch_size
        first = 0
        while first < len(windows) and (rows := windows[first].rows) <= skip:
            skip -= rows
            first += 1
        return self._cut(epoch, windows[first:], skip)

    def _chunks(self, epoch: int) -> list[_Chunk]:
        """All chunks in the order of this pass."""
        chunks = [
            _Chunk(number, first, min(CHUNK_ROWS, rows - first))
            for number, rows in enumerate(self._shard_rows)
            for first in range(0, rows, CHUNK_ROWS)
        ]
        if self._order == "sequential":
            return chunks
        return [chunks[i] for i in np.random.default_rng((self._seed, epoch)).permutation(len(chunks))]

    def _cut(self, epoch: int, windows: list[_Window], skip: int) -> Generator[Batch, None, None]:
        """Batches out of the stream of windows, without its first `skip` rows."""
        own = (self._part or WHOLE).of_batch(self._batch_size)
        size = own.stop - own.start
        full, left = divmod(max(0, sum(window.rows for window in windows) - skip), self._batch_size)
        waiting = self._empty(0)
        with closing(read_ahead(self._read_windows(epoch, windows, skip), "feeder")) as read:
            for window in read:
                waiting = _joined(waiting, window)
                here = min(len(waiting[0]) // size, full)
                full -= here
                for start, stop in pairwise(range(0, here * size + 1, size)):
                    yield self._batch(_of(waiting, slice(start, stop)))
                waiting = _of(waiting, slice(here * size, None))
            if left:
                yield self._batch(waiting)

    def _batch(self, columns: _Columns) -> Batch:
        """A batch of its rows, ordered where there is something to order them by."""
        if self._part is not None:
            *others, keys = columns
            order = np.argsort(keys, kind="stable")
            columns = tuple(column.take(order, axis=0) for column in others)
        ids, label, *weights = columns
        return ids, label, *weights

    def _empty(self, rows: int) -> _Columns:
        """Room for so many rows."""
        weight = [np.ones(rows, np.float32)] if self._weighted else []
        key = [] if self._part is None else [np.empty(rows, np.int64)]
        return np.empty((rows, self._slots), np.int32), np.empty(rows, np.float32), *weight, *key

    def _read_windows(self, epoch: int, windows: list[_Window], skip: int) -> Generator[_Columns, None, None]:
        drawn = self._drawn(epoch, windows, skip)
        if self._part is not None:
            drawn = own_places(
                zip(drawn, (window.rows for window in windows), strict=True), self._batch_size, self._part
            )
        with _OpenShards(self._paths) as shards:
            for window, places in zip(windows, drawn, strict=True):
                yield self._read_window(shards, epoch, window, places)

    def _drawn(self, epoch: int, windows: list[_Window], skip: int) -> Iterator[Places]:
        """The places of each window in the order of this pass, without the first `skip` of the first."""
        for window in windows:
            shuffled = self._order == "shuffled"
            draw = np.random.default_rng((self._seed, epoch, window.number)) if shuffled else None
            yield (np.arange(window.rows) if draw is None else draw.permutation(window.rows))[skip:]
            skip = 0

    def _read_window(self, shards: "_OpenShards", epoch: int, window: _Window, places: Places) -> _Columns:
        """The rows of these places of a window, checked, in this order."""
        all_rows = len(places) == window.rows
        wanted = np.arange(window.rows) if all_rows else np.sort(places)
        columns = self._empty(len(wanted))
        at = filled = 0
        for chunk in window.chunks:
            first, stop = np.searchsorted(wanted, (at, at + chunk.rows))
            into = slice(filled, filled + stop - first)
            if stop > first:
                self._read_chunk(shards.get(chunk.shard), epoch, chunk, wanted[first:stop] - at, _of(columns, into))
            at, filled = at + chunk.rows, into.stop
        if self._part is not None:
            columns[-1][:] = order_keys(wanted, window.rows)
        if self._order == "sequential":
            return columns
        order = places if all_rows else np.searchsorted(wanted, places)
        return tuple(column.take(order, axis=0) for column in columns)

    def _read_chunk(self, shard: Shard, epoch: int, chunk: _Chunk, rows: Places, into: _Columns) -> None:
        """Rows of a chunk, by their ascending numbers in it, into columns."""
        ids, label, *others = into
        for run in _runs(rows):
            first, stop = (chunk.first + int(row) for row in (rows[run.start], rows[run.stop - 1] + 1))
            inside = slice(None) if stop - first == run.stop - run.start else rows[run] - rows[run.start]
            found_ids, found_label = (column[inside] for column in shard.read(self._share, first, stop))
            self._check(shard, chunk.first + rows[run], found_ids, found_label)
            ids[run], label[run] = found_ids, found_label
            found_weight = shard.weights(self._share, first, stop)
            if found_weight is not None:
                others[0][run] = found_weight[inside]
        if self._unseen is not None:
            some = rows if len(rows) < chunk.rows else None
            ids[:] = self._unseen.applied(ids, (epoch, chunk.shard, chunk.first), chunk.rows, some)

    def _check(self, shard: Shard, rows: Places, ids: NDArray[Any], label: NDArray[Any]) -> None:
        """Raise InputError if one of these rows of a shard is out of range."""
        bad = first_bad_row(ids, label, self._size)
        if bad is not None:
            message = bad_row_message(ids, label, self._size, bad, int(rows[bad]) - bad)
            raise InputError(f"{shard.path} {self._share} {message}")


class _OpenShards:
    """Shards by number; those read last are open, as a window of large days has more than a process may open."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._open: OrderedDict[int, Shard] = OrderedDict()

    def get(self, number: int) -> Shard:
        """An open shard."""
        if number not in self._open:
            if len(self._open) >= MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            self._open[number] = open_shard(self._paths[number])
        self._open.move_to_end(number)
        return self._open[number]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._open:
            self._open.popitem()[1].close()


def _of(columns: _Columns, where: slice) -> _Columns:
    return tuple(column[where] for column in columns)


def _joined(left: _Columns, right: _Columns) -> _Columns:
    if not len(left[0]):
        return right
    return tuple(np.concatenate(pair) for pair in zip(left, right, strict=True))


def _runs(rows: Places) -> list[slice]:
    """Rows, ascending, that are read together, as slices of their array."""
    ends = [0, *(np.flatnonzero(np.diff(rows) > _GAP) + 1).tolist(), len(rows)]
    return [slice(first, stop) for first, stop in pairwise(ends)]


def _windows(chunks: list[_Chunk], window_rows: int) -> list[_Window]:
    """Neighbouring chunks together up to `window_rows` rows, at least one chunk each."""
    windows: list[list[_Chunk]] = []
    room = 0
    for chunk in chunks:
        if chunk.rows > room or not windows:
            windows.append([])
            room = window_rows
        windows[-1].append(chunk)
        room -= chunk.rows
    return [_Window(number, tuple(chunks)) for number, chunks in enumerate(windows)]
