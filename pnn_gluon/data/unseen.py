"""Training rows in which some fields are read as *other* or *missing*, so that these two ids of a field are trained.

A value that the map does not know is read as its field's *other*. Where every value of the training rows has an id, no
row trains *other*, and it would score by the numbers it started from; so would *missing* where a column was never
empty. Therefore a few training rows are read as rows of a day on which much is new.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Batch, Ids
from pnn_gluon.blocks.id_numbers import id_counts
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.data.feature_map import FeatureMap

THIRD = 1 / 3
"""A field of a chosen row is as often *other* as *missing* as what it is."""


@dataclass(frozen=True, eq=False)
class Unseen:
    """Which fields are hidden, and how often; drawn anew for every part of every pass.

    Each row is chosen with the chance `share`. In a chosen row each field, by itself, becomes *other* with the chance
    1/3, *missing* with 1/3: all its slots, of which the first gets the id and the others padding. A field in which the
    training rows have *other* (or *missing*) as often by themselves keeps what it has: its rows are real ones.

    Attributes:
        layout: The fields of a row.
        share: Chance of a row, in [0, 1).
        other: int32 (N,), what each field becomes as *other*; 0 for fields that do not.
        missing: int32 (N,), what each field becomes as *missing*; 0 for fields that do not.
        seed: Decides the draws.
    """

    layout: FieldLayout
    share: float
    other: Ids
    missing: Ids
    seed: int

    @classmethod
    def planned(
        cls,
        layout: FieldLayout,
        other: Ids,
        missing: Ids,
        counts: NDArray[np.int64],
        rows: int,
        *,
        share: float,
        seed: int,
    ) -> Self:
        """What training rows lack.

        Args:
            layout: The fields of a row.
            other: int32 (N,), the *other* id of each field; 0 where it has none.
            missing: int32 (N,), the *missing* id of each field; 0 where it has none.
            counts: int64 (V,), training rows with each id.
            rows: Training rows.
            share: Chance of a row.
            seed: Decides the draws.
        """
        wanted = THIRD * share * rows
        return cls(
            layout,
            share,
            other=np.where(counts[other] < wanted, other, 0).astype(np.int32),
            missing=np.where(counts[missing] < wanted, missing, 0).astype(np.int32),
            seed=seed,
        )

    @classmethod
    def of_map(cls, feature_map: FeatureMap, counts: NDArray[np.int64], rows: int, *, share: float, seed: int) -> Self:
        """What rows that a feature map encoded lack; every number has a bucket, so numbers have no *other*."""
        fields = feature_map.fields
        other = [0 if field.kind == "numeric" else feature_map.other_id(j) for j, field in enumerate(fields)]
        missing = [feature_map.missing_id(j) for j in range(len(fields))]
        ids = (np.array(other, np.int32), np.array(missing, np.int32))
        return cls.planned(feature_map.layout, *ids, counts, rows, share=share, seed=seed)

    @property
    def fingerprint(self) -> str:
        """Hash of all that the draws depend on."""
        what = (self.layout, self.share, self.other.tolist(), self.missing.tolist(), self.seed)
        return hashlib.sha256(repr(what).encode()).hexdigest()

    def applied(
        self, ids: Ids, part: Sequence[int], of: int | None = None, rows: NDArray[np.int64] | None = None
    ) -> Ids:
        """Rows int32 (B, S) with some fields hidden, by draws of the seed and the part (pass, place in it, ...).

        Args:
            ids: The rows.
            part: Of which these are all rows, or some.
            of: Number of all rows; None for those that are here.
            rows: Ascending numbers of those that are here; None for all.
        """
        draws = np.random.default_rng((self.seed, *part))
        chosen = np.flatnonzero(draws.random(len(ids) if of is None else of) < self.share)
        fate = draws.random((len(chosen), self.layout.fields))
        if rows is not None:
            here = np.isin(chosen, rows, assume_unique=True)
            chosen, fate = np.searchsorted(rows, chosen[here]), fate[here]
        become = np.where(fate < THIRD, self.other, np.where(fate < 2 * THIRD, self.missing, 0))
        seen = ids.copy()
        for field, (start, width) in enumerate(zip(self.layout.starts, self.layout.widths, strict=True)):
            hidden = become[:, field] > 0
            seen[chosen[hidden], start : start + width] = 0
            seen[chosen[hidden], start] = become[hidden, field]
        return seen


def count_ids(batches: Iterable[Batch], size: int) -> NDArray[np.int64]:
    """How many impressions have each of V = `size` ids, where it stands in the ids (B, S) of batches: int64 (V,)."""
    counts = np.zeros(size, np.int64)
    for ids, _, *weights in batches:
        counts += id_counts(ids, size, *weights)
    return counts
