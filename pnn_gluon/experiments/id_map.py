"""Which id each value of each field has, learnt from the rows of train and from nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.experiments.rows import FieldValues

Ids = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class FieldIds:
    """The ids of one field.

    Attributes:
        width: Slots of a row.
        other: Id of values that were rare in train or are not in it.
        first: Id of `values[0]`; the others follow.
        values: Arrow array of strings.
    """

    width: int
    other: int
    first: int
    values: Any


@dataclass(frozen=True, eq=False)
class IdMap:
    """Ids int32: 0 is padding, then one *other* id for each field, then the values of field after field.

    Values of a field are in the order of their number of train rows, falling, then of their text.
    """

    fields: Mapping[str, FieldIds]

    @classmethod
    def fit(cls, fields: Mapping[str, FieldValues], min_count: int) -> Self:
        """The map of the values that are in at least `min_count` rows.

        A field whose width is not given gets that of its longest row.
        """
        first, ids = 1 + len(fields), {}
        for number, (name, values) in enumerate(fields.items()):
            kept = _frequent(values, min_count)
            ids[name] = FieldIds(values.width or _longest(values), 1 + number, first, kept)
            first += len(kept)
        return cls(ids)

    @cached_property
    def layout(self) -> FieldLayout:
        """How the S slots of a row are divided into fields."""
        return FieldLayout.from_widths({name: ids.width for name, ids in self.fields.items()})

    @cached_property
    def size(self) -> int:
        """Number of ids V."""
        return 1 + len(self.fields) + sum(len(ids.values) for ids in self.fields.values())

    @cached_property
    def other(self) -> Ids:
        """The *other* id of each field, int32 (N,)."""
        return np.array([ids.other for ids in self.fields.values()], np.int32)

    def encode(self, fields: Mapping[str, FieldValues], rows: int) -> Ids:
        """Ids int32 (rows, S) of rows with the map's fields; of a long row the first values count.

        No id comes twice in a field of a row.
        """
        encoded = np.zeros((rows, self.layout.slots), np.int32)
        for start, (name, ids) in zip(self.layout.starts, self.fields.items(), strict=True):
            values = fields[name]
            index = pc.index_in(values.text, value_set=ids.values)
            code = pc.fill_null(pc.add(index, ids.first), ids.other).to_numpy(zero_copy_only=False)
            owner, code = _distinct(values.rows, code.astype(np.int64))
            place = np.arange(len(owner)) - np.searchsorted(owner, owner)
            fits = place < ids.width
            encoded[owner[fits], start + place[fits]] = code[fits]
        return encoded


def _frequent(values: FieldValues, min_count: int) -> Any:
    """Values in at least min_count rows, the most frequent first."""
    coded = values.text.dictionary_encode()
    _, code = _distinct(values.rows, coded.indices.to_numpy(zero_copy_only=False).astype(np.int64))
    counts = np.bincount(code, minlength=len(coded.dictionary))
    table = pa.table({"value": coded.dictionary, "rows": counts}).filter(pc.field("rows") >= min_count)
    return table.sort_by([("rows", "descending"), ("value", "ascending")])["value"].combine_chunks()


def _longest(values: FieldValues) -> int:
    """The largest number of distinct values in a row, at least 1."""
    coded = values.text.dictionary_encode()
    owner, _ = _distinct(values.rows, coded.indices.to_numpy(zero_copy_only=False).astype(np.int64))
    return max(1, int(np.bincount(owner).max())) if len(owner) else 1


def _distinct(rows: NDArray[np.int64], code: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of row and code, each once, in the order in which they first come."""
    if np.all(np.diff(rows) > 0):
        return rows, code
    _, first = np.unique(rows * (code.max() + 1) + code, return_index=True)
    first.sort()
    return rows[first], code[first]
