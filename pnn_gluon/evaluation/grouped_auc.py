"""AUC within groups: how well rows are ranked that compete with one another, such as those of one user or slot."""

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import class_weights, score_array
from pnn_gluon.evaluation.identity import Identities


@dataclass(frozen=True)
class GroupedAucValue:
    """The mean of the groups' AUC by their impressions, and what it stands on.

    Groups with clicks only, or without any, have no AUC: `one_class_rows` impressions in `one_class_groups` groups are
    left out. The value is NaN when all are.
    """

    value: float
    groups: int
    rows: float
    one_class_groups: int
    one_class_rows: float


@dataclass(frozen=True, eq=False)
class GroupedAuc:
    """AUC of each group, exact, ties count half, weighted by impressions: GAUC of Zhou et al. (2018), section 5.2.

    sum_g w_g AUC_g / sum_g w_g, over the groups with both classes; w_g is the weight of the group's rows. (Zhou et al.,
    "Deep interest network for click-through rate prediction", group by user.) State: the rows, 32 bytes each.
    """

    parts: tuple[tuple[Identities, Floats, Floats, Floats], ...] = ()  # group, score, positive, negative (B,)

    def update(
        self, group: Identities, label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None
    ) -> "GroupedAuc":
        """Add rows: the group's identity (B,), label 0 or 1 (B,), any score (B,), weight >= 0 (B,) or none.

        Raises:
            InputError: for other values, NaN, or lengths that differ.
        """
        positive, negative = class_weights(label, weight)
        if group.shape != positive.shape:
            raise InputError(f"group: expected shape {positive.shape}, received {group.shape}; pass one for each row")
        return GroupedAuc((*self.parts, (group, score_array(score, positive.size), positive, negative)))

    def __add__(self, other: "GroupedAuc") -> "GroupedAuc":
        return GroupedAuc(self.parts + other.parts)

    def value(self) -> GroupedAucValue:
        """The mean over groups, and how much of the rows it is about."""
        group, score, positive, negative = self._sorted()
        if not group.size:
            return GroupedAucValue(nan, 0, 0.0, 0, 0.0)
        begins = np.concatenate(([True], group[1:] != group[:-1]))
        ties = np.flatnonzero(begins | np.concatenate(([True], score[1:] != score[:-1])))
        first = np.flatnonzero(begins[ties])  # the first distinct score of each group
        clicks, others = np.add.reduceat(positive, ties), np.add.reduceat(negative, ties)
        positives, negatives = np.add.reduceat(clicks, first), np.add.reduceat(others, first)
        before = np.repeat(np.cumsum(negatives) - negatives, np.diff([*first, ties.size]))
        below = np.cumsum(others) - others / 2 - before
        gained, pairs, weight = np.add.reduceat(clicks * below, first), positives * negatives, positives + negatives
        both = pairs > 0
        rows = float(weight[both].sum())
        mean = float(np.sum(weight[both] * gained[both] / pairs[both])) / rows if rows else nan
        return GroupedAucValue(mean, int(both.sum()), rows, int((~both).sum()), float(weight[~both].sum()))

    def _sorted(self) -> tuple[Identities, Floats, Floats, Floats]:
        if not self.parts:
            return np.empty(0, np.uint64), np.empty(0), np.empty(0), np.empty(0)
        group, score, positive, negative = (np.concatenate(column) for column in zip(*self.parts, strict=True))
        order = np.lexsort((score, group))
        return group[order], score[order], positive[order], negative[order]
