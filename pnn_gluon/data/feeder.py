"""Batches for training and evaluation, streamed from encoded shards.

A pass reads whole chunks, in windows of several chunks that are shuffled in memory. One thread reads ahead.
Every order is drawn from (seed, epoch), so a pass can be begun again in its middle and goes on unchanged.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Batch
from pnn_gluon.data.read_ahead import read_ahead
from pnn_gluon.data.shards import CHUNK_ROWS, Shard, bad_row_message, first_bad_row, open_shard
from pnn_gluon.data.unseen import Unseen
from pnn_gluon.errors import ConfigError, InputError

MOST_OPEN = 128
"""Shards that a pass has open at once."""


@dataclass(frozen=True)
class _Chunk:
    """Rows first <= row < first + rows of shard number `shard`."""

    shard: int
    first: int
    rows: int


class Feeder:
    """Streams the rows of one share of several shards in batches, each row once a pass.

    In `shuffled` order the chunks of all shards come in an order drawn from (seed, epoch); windows of at least one
    chunk and at most `window_rows` rows are shuffled whole. In `sequential` order rows come as written, shard
    after shard. The last batch of a pass may be short.

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
    ) -> None:
        if batch_size < 1 or window_rows < 1 or seed < 0:
            raise ConfigError(
                f"a feeder needs batch_size >= 1, window_rows >= 1 and seed >= 0, "
                f"not {batch_size}, {window_rows} and {seed}"
            )
        if order not in {"shuffled", "sequential"}:
            raise ConfigError(f"order must be 'shuffled' or 'sequential', not {order!r}")
        self._paths, self._share, self._order = tuple(paths), share, order
        self._batch_size, self._window_rows = batch_size, window_rows
        self._seed, self._slots, self._size, self._unseen = seed, slots, size, unseen
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
        """Hash of everything the order of rows depends on, except the bytes of the shards."""
        what = (self._share, self._order, self._batch_size, self._window_rows, self._seed, self._shard_rows)
        names = (*(path.name for path in self._paths), *([self._unseen.fingerprint] if self._unseen else []))
        names += ("weighted",) if self._weighted else ()
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
        while first < len(windows) and (rows := sum(chunk.rows for chunk in windows[first])) <= skip:
            skip -= rows
            first += 1
        return self._cut(epoch, list(enumerate(windows))[first:], skip)

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

    def _cut(self, epoch: int, windows: list[tuple[int, list[_Chunk]]], skip: int) -> Generator[Batch, None, None]:
        """Batches out of the stream of windows, without its first `skip` rows."""
        waiting = self._empty(0)
        with closing(read_ahead(self._read_windows(epoch, windows), "feeder")) as read:
            for window in read:
                waiting = _joined(waiting, _of(window, slice(min(skip, len(window[0])), None)))
                skip = 0
                whole = len(waiting[0]) // self._batch_size * self._batch_size
                for start, stop in pairwise(range(0, whole + 1, self._batch_size)):
                    yield _of(waiting, slice(start, stop))
                waiting = _of(waiting, slice(whole, None))
            if len(waiting[0]):
                yield waiting

    def _empty(self, rows: int) -> Batch:
        """Room for so many rows."""
        weight = [np.ones(rows, np.float32)] if self._weighted else []
        return np.empty((rows, self._slots), np.int32), np.empty(rows, np.float32), *weight

    def _read_windows(self, epoch: int, windows: list[tuple[int, list[_Chunk]]]) -> Generator[Batch, None, None]:
        with _OpenShards(self._paths) as shards:
            for number, chunks in windows:
                yield self._read_window(shards, epoch, number, chunks)

    def _read_window(self, shards: "_OpenShards", epoch: int, number: int, chunks: list[_Chunk]) -> Batch:
        """One window, checked and shuffled."""
        rows = sum(chunk.rows for chunk in chunks)
        window = self._empty(rows)
        ids, label, *weights = window
        at = 0
        for chunk in chunks:
            part, shard = slice(at, at + chunk.rows), shards.get(chunk.shard)
            ids[part], label[part] = self._read_chunk(shard, chunk)
            for weight in weights if shard.weighted else ():
                weight[part] = shard.weights(self._share, chunk.first, chunk.first + chunk.rows)
            if self._unseen is not None:
                ids[part] = self._unseen.applied(ids[part], (epoch, chunk.shard, chunk.first))
            at += chunk.rows
        if self._order == "sequential":
            return window
        order = np.random.default_rng((self._seed, epoch, number)).permutation(rows)
        return ids.take(order, axis=0), label.take(order), *(weight.take(order) for weight in weights)

    def _read_chunk(self, shard: Shard, chunk: _Chunk) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        ids, label = shard.read(self._share, chunk.first, chunk.first + chunk.rows)
        bad = first_bad_row(ids, label, self._size)
        if bad is not None:
            message = bad_row_message(ids, label, self._size, bad, chunk.first)
            raise InputError(f"{shard.path} {self._share} {message}")
        return ids, label


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


def _of(batch: Batch, where: slice) -> Batch:
    ids, label, *weights = batch
    return ids[where], label[where], *(weight[where] for weight in weights)


def _joined(left: Batch, right: Batch) -> Batch:
    if not len(left[0]):
        return right
    (ids, label, *weights), (more_ids, more_labels, *more_weights) = left, right
    both = [np.concatenate(pair) for pair in zip(weights, more_weights, strict=True)]
    return np.concatenate((ids, more_ids)), np.concatenate((label, more_labels)), *both


def _windows(chunks: list[_Chunk], window_rows: int) -> list[list[_Chunk]]:
    """Neighbouring chunks together up to `window_rows` rows, at least one chunk each."""
    windows: list[list[_Chunk]] = []
    room = 0
    for chunk in chunks:
        if chunk.rows > room or not windows:
            windows.append([])
            room = window_rows
        windows[-1].append(chunk)
        room -= chunk.rows
    return windows
