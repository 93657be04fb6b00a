"""Ids as numbers that a decision tree can split: how often an id occurs, and its place in the order of ids."""

from collections.abc import Iterable
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import InputError

PADDING = 0

Weighted: TypeAlias = tuple[NDArray[np.int32], *tuple[NDArray[np.float32], ...]]
"""Ids (B, S) and, where rows stand for many impressions, their weights (B,)."""


def id_counts(ids: NDArray[np.int32], size: int, weight: NDArray[np.float32] | None = None) -> NDArray[np.int64]:
    """How often each of V = `size` ids stands in ids (B, S), int64 (V,); rows of a weight (B,) count as so many."""
    if weight is None:
        return np.bincount(ids.ravel(), minlength=size)
    counted = np.bincount(ids.ravel(), np.repeat(weight.astype(np.float64), ids.shape[1]), minlength=size)
    return np.rint(counted).astype(np.int64)


class IdNumbers:
    """Two numbers for each field of a row; no label plays a part in them ([PNN] 5.1.2 gives trees ids as numbers).

    - frequency: log(1 + count of the id in the training rows);
    - place: the number of different ids up to this one that occur in the training rows. Ids of numeric fields follow
      their buckets, so a split by place is a split by value; elsewhere it tells ids with equal counts apart.

    A multi-valued field has the means over its values. Padding has no numbers, nor has an id that never occurred in
    training a place; a field without any has NaN, which means *missing* to the trees.

    Args:
        layout: The fields of a row.
        counts: Occurrences int64 (V,) of each id in the training rows; that of the padding id plays no part.

    Attributes:
        layout: The fields of a row.
        counts: As given.
    """

    def __init__(self, layout: FieldLayout, counts: NDArray[np.int64]) -> None:
        self.layout, self.counts = layout, counts
        seen = counts > 0
        seen[PADDING] = False
        frequency = np.log1p(counts)
        frequency[PADDING] = np.nan
        self._tables = (frequency, np.where(seen, np.cumsum(seen), np.nan))  # (V,) each

    @classmethod
    def counted(cls, layout: FieldLayout, size: int, batches: Iterable[NDArray[np.int32] | Weighted]) -> Self:
        """The numbers for V = `size` ids, with the counts of all ids (B, S) of the batches.

        Rows with weights (B,) count as so many.

        Raises:
            InputError: rows of another width, or an id outside [0, V).
        """
        counts = np.zeros(size, np.int64)
        for batch in batches:
            ids, *weights = batch if isinstance(batch, tuple) else (batch,)
            _check(ids, layout.slots, size)
            counts += id_counts(ids, size, *weights)
        return cls(layout, counts)

    def __call__(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Numbers float32 (B, 2 N) of ids int32 (B, S): the frequencies of all fields, then their places.

        Raises:
            InputError: rows of another width, or an id outside [0, V).
        """
        _check(ids, self.layout.slots, len(self.counts))
        return np.concatenate([self._means(table[ids]) for table in self._tables], axis=1).astype(np.float32)

    def _means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Means (B, N) over the slots of each field, NaN aside."""
        if not self.layout.has_multi_valued:
            return values
        known = ~np.isnan(values)  # (B, S)
        totals = np.add.reduceat(np.where(known, values, 0.0), self.layout.starts, axis=1)  # (B, N)
        values_known = np.add.reduceat(known, self.layout.starts, axis=1, dtype=np.int64)  # (B, N)
        with np.errstate(invalid="ignore"):
            means: NDArray[np.float64] = totals / values_known
        return means


def _check(ids: NDArray[np.int32], slots: int, size: int) -> None:
    if ids.ndim != 2 or ids.shape[1] != slots:
        raise InputError(f"expected ids (rows, {slots}), not {ids.shape}; encode the rows with the model's own map")
    if len(ids) and (ids.min() < 0 or ids.max() >= size):
        bad = int(((ids < 0) | (ids >= size)).any(axis=1).argmax())
        found = next(int(i) for i in ids[bad] if not 0 <= i < size)
        raise InputError(
            f"row {bad}: id {found}, expected ids in [0, {size}); encode the rows with the map the model was made with"
        )
