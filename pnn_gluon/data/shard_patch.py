"""What a grown map says otherwise about the rows of a shard, in a file beside it.

A shard keeps the ids by the map of its own day. A value that a later map admits was read as *other* until then, so that
only such cells differ: a patch lists them, and a day is encoded once however many days train on it.

Layout of the file, HDF5: one group for each share with `row` int64, `slot` int32 and `id` int32 (C,), by rising row and
slot; root attributes `day`, `size` (number of ids of the later map) and `format`. Equal cells give equal bytes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Ids
from pnn_gluon.data.hdf5_reading import opened_beside
from pnn_gluon.data.hdf5_writing import written_hdf5

FORMAT = 1
PATCH_SUFFIX = ".patch"
"""In place of the shard's."""


class Cells(NamedTuple):
    """Cells of encoded rows by rising row and slot: number of the row int64 (C,), slot and id int32 (C,)."""

    row: NDArray[np.int64]
    slot: NDArray[np.int32]
    id: Ids

    @classmethod
    def none(cls) -> Self:
        """No cells."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))

    @classmethod
    def between(cls, ids: Ids, grown: Ids, first: int) -> Self:
        """The cells in which rows (B, S) differ by a grown map; `first` is the number of the first row."""
        row, slot = np.nonzero(ids != grown)
        return cls(row + first, slot.astype(np.int32), grown[row, slot])

    @classmethod
    def joined(cls, parts: Sequence["Cells"]) -> Self:
        """Those of several; no cell is in two of them."""
        row, slot, ids = (np.concatenate([part[column] for part in parts]) for column in range(3))
        order = np.lexsort((slot, row))
        return cls(row[order], slot[order], ids[order])

    def check(self, rows: int, slots: int, size: int) -> None:
        """See that the cells are of so many rows and slots, and their ids below the size.

        Raises:
            ValueError: they are not.
        """
        kinds = ", ".join(str(values.dtype) for values in (self.row, self.slot, self.id))
        if kinds != "int64, int32, int32":
            raise ValueError(f"a patch of the types {kinds}")
        if self.row.ndim != 1 or not self.row.shape == self.slot.shape == self.id.shape:
            raise ValueError(f"a patch of {self.row.shape} rows, {self.slot.shape} slots and {self.id.shape} ids")
        for values, limit in ((self.row, rows), (self.slot, slots), (self.id, size)):
            if len(values) and not (values.min() >= 0 and values.max() < limit):
                raise ValueError(f"a patch of cells from {values.min()} to {values.max()}, expected 0 to {limit - 1}")
        if (np.diff(self.row) < 0).any():
            raise ValueError("a patch whose rows do not rise")

    def put(self, ids: Ids, first: int) -> Ids:
        """Rows first <= row < first + B of the shard (B, S) by the grown map."""
        here = slice(*np.searchsorted(self.row, (first, first + len(ids))))
        ids[self.row[here] - first, self.slot[here]] = self.id[here]
        return ids


class Patch(NamedTuple):
    """The cells of each share, and the number of ids of the map that they are by."""

    day: str
    size: int
    cells: Mapping[str, Cells]

    def write(self, path: Path) -> None:
        """Write the file."""
        with written_hdf5(path) as writing:
            writing.file.attrs.update({"day": self.day, "size": self.size, "format": FORMAT})
            for share, cells in self.cells.items():
                for name, values in cells._asdict().items():
                    writing.put(f"{share}/{name}", values)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that `write` wrote.

        Raises:
            InputError: it is none, or is of a newer release.
        """
        with opened_beside(path, "a patch of a shard", FORMAT) as (file, day, size):
            return cls(day, size, {share: _cells(file[share]) for share in file})


def _cells(group: Any) -> Cells:
    return Cells(*(group[name][:] for name in Cells._fields))


def patch_of(shard: Path) -> Path:
    """Where the patch of a shard lies, if there is one."""
    return shard.with_suffix(PATCH_SUFFIX)
