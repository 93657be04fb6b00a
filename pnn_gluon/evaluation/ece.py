"""The expected calibration error over fixed bins, and the reliability table."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.arrays import probability_array
from pnn_gluon.evaluation.row_metric import RowMetric

BIN_LOGITS: Floats = np.arange(-40, 41) / 4
"""Inner edges of the calibration bins on the logit scale: -10, -9.75, ..., 10; with the two open ends, 82 bins."""

BIN_EDGES: Floats = 1 / (1 + np.exp(-BIN_LOGITS))
"""The same edges as probabilities, 4.5e-5 to 1 - 4.5e-5; a value on an edge belongs to the bin above it."""


def _no_bins() -> Floats:
    return np.zeros((3, BIN_EDGES.size + 1))


@dataclass(frozen=True, eq=False)
class Ece(RowMetric):
    """Expected calibration error over the fixed bins BIN_EDGES: sum_b (n_b / n) |mean p_b - mean y_b|.

    The bins are a quarter of a logit wide (a step of 28 % in a small probability) and the same for every model
    and day, so the state is a sum: rows' weight, predicted and observed clicks of each bin. That of bins of equal mass
    is `ScoreHistogram.ece`.
    """

    sums: Floats = field(default_factory=_no_bins)  # (3, bins): weight, sum of p, sum of y

    def add(self, positive: Floats, negative: Floats, probability: ArrayLike) -> Self:
        """Add rows by their weight of clicks (B,) and of non-clicks (B,)."""
        p, weight = probability_array(probability, positive.size), positive + negative
        where = np.searchsorted(BIN_EDGES, p, side="right")
        counts = [np.bincount(where, weights=v, minlength=BIN_EDGES.size + 1) for v in (weight, weight * p, positive)]
        return self + type(self)(np.stack(counts))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.sums + other.sums)

    def value(self) -> float:
        """The error as a difference of probabilities; NaN without rows."""
        return mean_gap(self.sums)

    def table(self) -> list[dict[str, float]]:
        """The reliability table: a row for each bin that is not empty, from low to high.

        Keys: low and high (the bin, as probabilities), rows (their weight), mean_probability, ctr.
        """
        edges = [0.0, *BIN_EDGES.tolist(), 1.0]
        return [
            {"low": low, "high": high, "rows": n, "mean_probability": p / n, "ctr": y / n}
            for low, high, (n, p, y) in zip(edges, edges[1:], self.sums.T.tolist(), strict=False)
            if n
        ]


def mean_gap(sums: Floats) -> float:
    """sum_b |sum of p - sum of y| / weight of bins (3, bins): weight, sum of p, sum of y; NaN without rows."""
    weight, predicted, positive = sums
    return float(np.abs(predicted - positive).sum() / weight.sum()) if weight.any() else float("nan")
