"""Encoded shards: the ids and labels of one sample day in one HDF5 file.

Layout of the file: one group for each share, with the datasets `ids` int32 (rows, S), `label` uint8 (rows,) and, of
rows that stand for many impressions, `weight` uint32 (rows,), uncompressed, in chunks of `CHUNK_ROWS` rows (fewer if
the share is smaller); root attributes `day`, `slots` (S), `rate` (share of the train negatives that were kept), `size`
(number of ids of the map that encoded it) and `format`.
Equal rows give equal bytes, however they were split into batches. A patch beside it (`shard_patch.py`) says what a
later map reads otherwise; whoever opens a shard reads it by that map.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Ids
from pnn_gluon.atomic import sync_file, sync_folder
from pnn_gluon.data.hdf5_reading import refuse_large
from pnn_gluon.data.hdf5_writing import Hdf5Writing, written_hdf5
from pnn_gluon.data.shard_patch import Patch, patch_of
from pnn_gluon.errors import InputError

FORMAT = 1
"""Of the shards that are written; those of release 0.1, which are the same besides, have no number."""

WEIGHTED_FORMAT = 2
"""Of shards with weights, which earlier releases must not take for shards of rows that count alike."""

CHUNK_ROWS = 65536
"""Rows that are written and read at once."""

SHARES = ("train", "calibrate")
"""Groups of a shard unless the writer is told otherwise."""

Labels = NDArray[np.uint8]
Weights = NDArray[np.uint32]


class ShardWriter:
    """Writes a shard; the file appears under its name only when it is whole.

    >>> with ShardWriter(path, day="2026-01-31", slots=39, rate=0.1, size=1000) as shard:  # doctest: +SKIP
    ...     shard.append("train", ids, label)

    Args:
        path: File to write; an existing one is replaced at the end.
        day: Date of the sample.
        slots: Width S of a row of ids.
        rate: Share of the train negatives that were kept, in (0, 1].
        size: Number of ids V of the feature map; ids are below it.
        shares: Names of the groups.
        weighted: Whether rows have weights.

    Raises:
        InputError: a rate or size out of range, or, when appending, rows of another shape, type or range.
    """

    def __init__(
        self,
        path: Path,
        *,
        day: str,
        slots: int,
        rate: float,
        size: int,
        shares: Sequence[str] = SHARES,
        weighted: bool = False,
    ) -> None:
        if not 0 < rate <= 1 or slots < 1 or size < 1:
            raise InputError(
                f"{path}: a shard needs slots >= 1, 0 < rate <= 1 and size >= 1, not {slots}, {rate}, {size}"
            )
        self._path, self._partial = path, path.with_name(path.name + ".partial")
        self._slots, self._size, self._weighted = slots, size, weighted
        kinds = {"ids": ((slots,), "<i4"), "label": ((), "u1")} | ({"weight": ((), "<u4")} if weighted else {})
        self._waiting = {
            share: {name: np.empty((CHUNK_ROWS, *shape), kind) for name, (shape, kind) in kinds.items()}
            for share in shares
        }
        self._filled = dict.fromkeys(shares, 0)
        self._open = ExitStack()
        self._writing = self._open.enter_context(written_hdf5(self._partial))
        attributes = {"day": day, "slots": slots, "rate": float(rate), "size": size}
        self._writing.file.attrs.update({**attributes, "format": WEIGHTED_FORMAT if weighted else FORMAT})
        for share in shares:
            self._writing.file.create_group(share)

    def append(self, share: str, ids: Ids, label: NDArray[Any], weight: NDArray[Any] | None = None) -> None:
        """Add rows to a share: ids int32 (rows, S), labels 0 or 1 (rows,), and weights > 0 (rows,) or none."""
        self._check(share, ids, label)
        self._check_weights(share, len(ids), weight)
        given = {"ids": ids, "label": label} | ({} if weight is None else {"weight": weight})
        start = 0
        while start < len(ids):
            filled = self._filled[share]
            count = min(len(ids) - start, CHUNK_ROWS - filled)
            for name, waiting in self._waiting[share].items():
                waiting[filled : filled + count] = given[name][start : start + count]
            self._filled[share] += count
            start += count
            if self._filled[share] == CHUNK_ROWS:
                self._flush(share)

    def _check(self, share: str, ids: Ids, label: NDArray[Any]) -> None:
        if share not in self._waiting:
            raise InputError(f"{self._path}: no share {share!r}; this shard has {', '.join(self._waiting)}")
        if ids.dtype != np.int32 or ids.ndim != 2 or ids.shape[1] != self._slots or label.shape != ids.shape[:1]:
            raise InputError(
                f"{self._path} {share}: expected int32 ids (rows, {self._slots}) and labels (rows,), "
                f"not {ids.dtype} {ids.shape} and {label.shape}"
            )
        bad = first_bad_row(ids, label, self._size)
        if bad is not None:
            raise InputError(f"{self._path} {share}: {bad_row_message(ids, label, self._size, bad)}")

    def _check_weights(self, share: str, rows: int, weight: NDArray[Any] | None) -> None:
        if (weight is not None) != self._weighted or (weight is not None and weight.shape != (rows,)):
            expected = f"weights ({rows},)" if self._weighted else "no weights"
            received = "none" if weight is None else str(weight.shape)
            raise InputError(f"{self._path} {share}: expected {expected}, received {received}")
        if weight is not None and rows and not (weight.min() >= 1 and weight.max() < 2**32):
            raise InputError(f"{self._path} {share}: expected weights from 1 to 2^32 - 1; sample the day again")

    def _flush(self, share: str) -> None:
        count = self._filled[share]
        _extend(self._writing, share, {name: values[:count] for name, values in self._waiting[share].items()})
        self._filled[share] = 0

    def close(self) -> None:
        """Write what is waiting, sync the file to disk and give it its name."""
        for share in self._waiting:
            if self._filled[share] or "ids" not in self._writing.file[share]:
                self._flush(share)
        self._open.close()
        sync_file(self._partial)
        self._partial.replace(self._path)
        sync_folder(self._path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        self._open.__exit__(kind, error, trace)
        self._partial.unlink()


def _extend(writing: Hdf5Writing, share: str, columns: Mapping[str, NDArray[Any]]) -> None:
    group, rows = writing.file[share], len(columns["ids"])
    if "ids" not in group:
        chunk = max(1, min(CHUNK_ROWS, rows))
        for name, values in columns.items():
            width = values.shape[1:]
            group.create_dataset(name, (0, *width), values.dtype, maxshape=(None, *width), chunks=(chunk, *width))
    for name, values in columns.items():
        writing.extend(group[name], values)


def first_bad_row(ids: Ids, label: NDArray[Any], size: int) -> int | None:
    """Number of the first row with an id outside [0, size) or a label other than 0 and 1; None if all are good."""
    if not len(ids) or (ids.min() >= 0 and ids.max() < size and bool(((label == 0) | (label == 1)).all())):
        return None
    bad = ((ids < 0) | (ids >= size)).any(axis=1) | ((label != 0) & (label != 1))
    return int(bad.argmax())


def bad_row_message(ids: Ids, label: NDArray[Any], size: int, row: int, first: int = 0) -> str:
    """What is wrong with a bad row; `first` is the number of the first row of `ids` in its file."""
    wrong = [int(i) for i in ids[row] if not 0 <= i < size]
    found = f"id {wrong[0]}" if wrong else f"label {label[row]}"
    expected = f"ids in [0, {size})" if wrong else "0 or 1"
    return f"row {first + row}: {found}, expected {expected}; encode the day again with this feature map"


class Shard:
    """An open shard; get it from `open_shard` and close it, or use it in a `with`.

    Attributes:
        path: The file.
        day: Date of the sample.
        slots: Width S of a row of ids.
        rate: Share of the train negatives that were kept.
        own_size: Number of ids of the feature map that encoded it.
        size: Number of ids of the feature map that its rows are read by.
        patch: What that map reads otherwise; None where it is the same.
        weighted: Whether rows have weights.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.patch = Patch.read(patch_of(path)) if patch_of(path).exists() else None
        try:
            self._file: Any = h5py.File(path, "r")
        except OSError as error:
            raise InputError(f"{path}: cannot be read as an encoded shard ({error}); encode the day again") from error
        try:
            self._read_attributes()
            self._check_arrays()
        except (ValueError, TypeError, KeyError, OSError, RuntimeError) as error:
            self._file.close()
            raise InputError(f"{path}: not an encoded shard ({error}); encode the day again") from error
        except InputError:
            self._file.close()
            raise

    def _read_attributes(self) -> None:
        attributes = self._file.attrs
        missing = {"day", "slots", "rate", "size"} - set(attributes)
        if missing:
            raise InputError(f"{self.path}: not an encoded shard, it lacks the attributes {', '.join(sorted(missing))}")
        if (found := int(attributes.get("format", FORMAT))) > WEIGHTED_FORMAT:
            raise InputError(
                f"{self.path}: a shard of format {found}, written by a newer release than this: install that"
            )
        self.day, self.slots = str(attributes["day"]), int(attributes["slots"])
        self.rate, self.own_size = float(attributes["rate"]), int(attributes["size"])
        self.size = self.patch.size if self.patch else self.own_size
        self.weighted = found == WEIGHTED_FORMAT
        if self.patch is not None and self.patch.day != self.day:
            raise InputError(f"{self.path}: of {self.day}, but its patch is of {self.patch.day}; encode the day again")

    def _check_arrays(self) -> None:
        """See that all columns of a share have its rows, and that the patch is about these."""
        refuse_large(self._file, self.path)
        kinds = {"ids": ("i4", (self.slots,)), "label": ("u1", ())} | ({"weight": ("u4", ())} if self.weighted else {})
        for share in self.shares:
            rows = len(self._file[share]["label"])
            for name, (kind, width) in kinds.items():
                found = self._file[share][name]
                if found.dtype != kind or found.shape != (rows, *width):
                    raise ValueError(f"{share}: {name} {found.dtype} {found.shape}, expected {kind} {(rows, *width)}")
            if self.patch is not None and share in self.patch.cells:
                self.patch.cells[share].check(rows, self.slots, self.size)

    @property
    def shares(self) -> tuple[str, ...]:
        """Names of the groups, sorted."""
        return tuple(sorted(self._file))

    def rows(self, share: str) -> int:
        """Number of rows of a share."""
        return int(self._group(share)["label"].shape[0])

    def labels(self, share: str) -> Labels:
        """Labels of all rows of a share, uint8 (rows,)."""
        label: Labels = self._group(share)["label"][:]
        return label

    def read(self, share: str, start: int = 0, stop: int | None = None) -> tuple[Ids, Labels]:
        """Rows start <= row < stop of a share: ids int32 (rows, S), labels uint8 (rows,)."""
        group, ids = self._group(share), self.own_ids(share, start, stop)
        if self.patch is not None and share in self.patch.cells:
            ids = self.patch.cells[share].put(ids, start)
        return ids, group["label"][start:stop]

    def weights(self, share: str, start: int = 0, stop: int | None = None) -> Weights | None:
        """Weights of rows start <= row < stop of a share, uint32 (rows,); None where each is one impression."""
        return self._group(share)["weight"][start:stop] if self.weighted else None

    def own_ids(self, share: str, start: int = 0, stop: int | None = None) -> Ids:
        """Ids int32 (rows, S) as the shard holds them, without its patch."""
        ids: Ids = self._group(share)["ids"][start:stop]
        return ids

    def _group(self, share: str) -> Any:
        if share not in self._file:
            raise InputError(f"{self.path}: no share {share!r}; it has {', '.join(self.shares) or 'none'}")
        return self._file[share]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_shard(path: Path) -> Shard:
    """Open a shard to read.

    Raises:
        InputError: the file is missing, is not HDF5, or lacks the attributes or arrays of a shard.
    """
    return Shard(path)
