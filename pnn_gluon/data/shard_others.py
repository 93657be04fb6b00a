"""The values that a shard's own map read as *other*, in a file beside it: what a later map may know is sought in them.

Layout of the file, HDF5: of the words, which come by rising slot, then by share and row of their first cell, `slot`
(W,), `length` (W,) in bytes of UTF-8, and `bytes` uint8, all of them one after the other. One group for each share with
`count` (W,), how many rows have the word, and `row` (C,), the rows of the first word, then those of the second, and so
on, rising within each. All of these are packed (`packed_numbers.py`). Root attributes `day`, `size` (number of ids of
the shard's own map) and `format`. Equal rows give equal bytes, however they were split into batches.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pnn_gluon.arrays import Ids
from pnn_gluon.data.hdf5_reading import opened_beside
from pnn_gluon.data.hdf5_writing import Hdf5Writing, written_hdf5
from pnn_gluon.data.packed_numbers import put_packed, read_packed, smallest
from pnn_gluon.data.shard_patch import Cells

FORMAT = 1
_NONE: NDArray[Any] = np.empty(0, np.uint8)
OTHERS_SUFFIX = ".others"
"""In place of the shard's."""


class Places(NamedTuple):
    """The rows of a share that have each word: those of word w are row[first[w]:first[w + 1]]."""

    row: NDArray[Any]
    first: NDArray[np.int64]

    def of(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows of some words, one word after the other, and how many each has."""
        counts = self.first[chosen + 1] - self.first[chosen]
        start = np.repeat(self.first[chosen] - (np.cumsum(counts) - counts), counts)
        return self.row[start + np.arange(len(start))].astype(np.int64), counts


class Others(NamedTuple):
    """The words of a shard, large_string (W,), with the slot of each, int32 (W,), and where it stands in each share."""

    day: str
    size: int
    slot: NDArray[np.int32]
    value: Any
    places: Mapping[str, Places]

    def cells(self, new: Mapping[int, Any]) -> dict[str, Cells]:
        """By share, the cells whose word got an id.

        Args:
            new: By slot, Arrow tables (value, id) of words that have one.
        """
        words, ids = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
        for slot, table in new.items():
            start, end = np.searchsorted(self.slot, (slot, slot + 1))
            match = pc.index_in(self.value.slice(start, end - start), value_set=table["value"])
            found = np.flatnonzero(match.is_valid().to_numpy(zero_copy_only=False))
            words.append(found + start)
            ids.append(table["id"].to_numpy()[match.drop_null().to_numpy()])
        word, known = np.concatenate(words), np.concatenate(ids)
        return {share: self._cells(places, word, known) for share, places in self.places.items()}

    def _cells(self, places: Places, word: NDArray[np.int64], known: Ids) -> Cells:
        row, counts = places.of(word)
        return Cells(row, np.repeat(self.slot[word], counts), np.repeat(known, counts))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that `OthersSeen.write` wrote.

        Raises:
            InputError: it is none, or is of a newer release.
        """
        with opened_beside(path, "the other values of a shard", FORMAT) as (file, day, size):
            offsets, content = _starts(read_packed(file["length"])), read_packed(file["bytes"])
            if content.nbytes != offsets[-1]:
                raise ValueError(f"{content.nbytes:,} bytes of words, expected {offsets[-1]:,}")
            value = pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(content))
            groups = {name: group for name, group in file.items() if isinstance(group, h5py.Group)}
            places = {
                name: Places(read_packed(group["row"]), _starts(read_packed(group["count"])))
                for name, group in groups.items()
            }
            others = cls(day, size, read_packed(file["slot"]).astype(np.int32), value, places)
            others.check()
            return others

    def check(self) -> None:
        """See that the arrays fit each other.

        Raises:
            ValueError: they do not.
        """
        self.value.validate(full=True)
        words = {len(self.slot), len(self.value), *(len(each.first) - 1 for each in self.places.values())}
        if len(words) > 1:
            raise ValueError(f"other values of {sorted(words)} words")
        if (np.diff(self.slot) < 0).any():
            raise ValueError("other values whose slots do not rise")
        for share, each in self.places.items():
            if each.first[-1] != len(each.row):
                raise ValueError(f"{len(each.row):,} rows of {share}, expected {each.first[-1]:,}")


class OthersSeen:
    """What is *other* in the rows of a shard while it is written.

    Args:
        shares: Names of the shares.
    """

    def __init__(self, shares: Sequence[str]) -> None:
        self._shares = shares
        self._seen: dict[int, dict[str, list[tuple[NDArray[Any], Any]]]] = {}

    def add(self, slot: int, share: str, row: NDArray[np.int64], texts: Any) -> None:
        """Note cells of a field, after those of its share that were noted before.

        Args:
            slot: Of the field.
            share: Of the rows.
            row: Number of each row in its share (C,), rising.
            texts: What each has as *other*, Arrow strings (C,) with a dictionary or without; none is NULL.
        """
        of_slot = self._seen.setdefault(slot, {name: [] for name in self._shares})
        of_slot[share].append((smallest(row), texts.cast(pa.large_string())))

    def write(self, path: Path, day: str, size: int) -> None:
        """Write the file; what was seen is forgotten slot by slot on the way, so that it takes little more memory.

        Args:
            path: Where to.
            day: Of the shard.
            size: Number of ids of the shard's own map.
        """
        slots, lengths, contents = [_NONE], [_NONE], [_NONE]
        counts: dict[str, list[NDArray[Any]]] = {share: [_NONE] for share in self._shares}
        rows: dict[str, list[NDArray[Any]]] = {share: [_NONE] for share in self._shares}
        for slot in sorted(self._seen):
            of_slot = self._seen.pop(slot)
            coded = pa.concat_arrays([texts for seen in of_slot.values() for _, texts in seen]).dictionary_encode()
            word, words = coded.indices.to_numpy(), len(coded.dictionary)
            for share, seen in of_slot.items():
                row = np.concatenate([_NONE, *(row for row, _ in seen)])
                here, word = word[: len(row)], word[len(row) :]
                rows[share].append(row[np.argsort(here, kind="stable")])
                counts[share].append(smallest(np.bincount(here, minlength=words)))
            slots.append(np.full(words, slot, np.min_scalar_type(slot)))
            lengths.append(smallest(pc.binary_length(coded.dictionary).to_numpy()))
            contents.append(np.frombuffer(coded.dictionary.buffers()[2] or b"", np.uint8))
        with written_hdf5(path) as writing:
            writing.file.attrs.update({"day": day, "size": size, "format": FORMAT})
            for name, parts in {"slot": slots, "length": lengths, "bytes": contents}.items():
                _put_joined(writing, name, parts)
            for share in self._shares:
                _put_joined(writing, f"{share}/count", counts[share])
                _put_joined(writing, f"{share}/row", rows[share])


def _put_joined(writing: Hdf5Writing, name: str, parts: list[NDArray[Any]]) -> None:
    """Write numbers that come in parts, which are gone then."""
    joined = np.concatenate(parts)
    parts.clear()
    put_packed(writing, name, joined)


def _starts(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """Where each of so many stretches begins, and the last ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def others_of(shard: Path) -> Path:
    """Where the other values of a shard lie, if they were kept."""
    return shard.with_suffix(OTHERS_SUFFIX)
