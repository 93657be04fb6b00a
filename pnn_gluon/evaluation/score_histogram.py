"""Everything that ranks or groups rows by their probability, in fixed memory: one fine histogram on the logit scale.

Any number of rows in one pass, any number of parts; each number that a histogram cannot give exactly comes with the
distance from the exact one that the histogram itself can vouch for.
"""

from dataclasses import dataclass, field
from math import nan
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.arrays import logit_array, probability_array
from pnn_gluon.evaluation.auc import ScoreRun
from pnn_gluon.evaluation.ece import mean_gap
from pnn_gluon.evaluation.log_odds import log_odds, sigmoid
from pnn_gluon.evaluation.row_metric import LogitMetric

PER_LOGIT = 1024
"""Bins for each unit of the logit: a step of 0.1 % in a small probability."""

REACH = 16
"""Logits from -16 to 16 (probabilities from 1.1e-7) have bins of this width; beyond are two open bins."""

CELLS = 2 * REACH * PER_LOGIT + 2


@dataclass(frozen=True)
class Bounded:
    """A value, and how far from the exact one it is at most."""

    value: float
    bound: float


@dataclass(frozen=True)
class BrierParts:
    """value = reliability - resolution + uncertainty + within_variance - within_covariance, exactly.

    Murphy (1973), with the two terms that bins wider than one probability need: Stephenson, Coelho and Jolliffe (2008),
    "Two extra components in the Brier score decomposition".

    Attributes:
        value: The Brier score.
        reliability: Mean squared distance of a bin's mean probability from its click rate: 0 is calibrated.
        resolution: Mean squared distance of a bin's click rate from that of all rows: larger is better.
        uncertainty: Of the click rate alone, r (1 - r).
        within_variance: Of the probabilities within bins.
        within_covariance: Twice the covariance of probabilities and clicks within bins.
    """

    value: float
    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float


def score_cells(logit: Floats, per_logit: int = PER_LOGIT) -> NDArray[np.intp]:
    """The number of each logit's bin (B,), from 0 to 2 REACH per_logit + 1; a logit on an edge is in the bin above."""
    place = np.clip(logit, -REACH - 1, REACH)
    place += REACH
    place *= per_logit
    return np.maximum(np.floor(place, out=place).astype(np.intp) + 1, 0)


def _no_cells() -> Floats:
    return np.zeros((5, CELLS))


@dataclass(frozen=True, eq=False)
class ScoreHistogram(LogitMetric):
    """Clicks, non-clicks, and sums of p, p^2 and (p - y)^2 of CELLS bins of the logit: 1.3 MB for any rows."""

    sums: Floats = field(default_factory=_no_cells)  # (5, CELLS)

    def add(self, positive: Floats, negative: Floats, probability: ArrayLike) -> Self:
        """Add rows by their weight of clicks (B,) and of non-clicks (B,)."""
        p = probability_array(probability, positive.size)
        with np.errstate(divide="ignore"):
            return self._with(positive, negative, p, log_odds(p))

    def add_logits(self, positive: Floats, negative: Floats, logit: ArrayLike) -> Self:
        """The same, by the logit of the probability (B,)."""
        z = logit_array(logit, positive.size)
        return self._with(positive, negative, sigmoid(z), z)

    def _with(self, positive: Floats, negative: Floats, p: Floats, logit: Floats) -> Self:
        cell, predicted = score_cells(logit), (positive + negative) * p
        squares = predicted * p
        error = squares + positive * (1 - 2 * p)  # of a click (1 - p)^2, of a non-click p^2
        sums = self.sums.copy()
        for row, values in zip(sums, (positive, negative, predicted, squares, error), strict=True):
            counts = np.bincount(cell, values)
            row[: counts.size] += counts
        return type(self)(sums)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.sums + other.sums)

    def value(self) -> float:
        """The AUC, without its bound."""
        return self.auc().value

    def auc(self) -> Bounded:
        """The AUC with pairs in one bin counted half: off by no more than half of their share of all pairs."""
        positive, negative = self.sums[0], self.sums[1]
        value = ScoreRun(np.arange(CELLS, dtype=np.float64), positive, negative).area()
        pairs = float(positive.sum()) * float(negative.sum())
        return Bounded(value, float(np.sum(positive * negative)) / 2 / pairs if pairs else nan)

    def ece(self, bins: int = 20) -> Bounded:
        """The expected calibration error over bins of equal mass: sum_b (n_b / n) |mean p_b - mean y_b|.

        Cells of the histogram are not divided, so the mass on one side of a cut between two bins is off by at most
        half a cell. A row that changes bins changes the error of each by no more than its share of all rows.
        """
        sums = self._coarse(bins)
        weight = sums[0] + sums[1]
        total = float(weight.sum())
        if not total:
            return Bounded(nan, nan)
        cuts = np.cumsum(weight)[:-1]
        moved = np.abs(cuts - total * np.arange(1, bins) / bins).sum()
        return Bounded(mean_gap(np.stack((weight, sums[2], sums[0]))), float(2 * moved / total))

    def brier(self, bins: int = 20) -> BrierParts:
        """The Brier score and its parts over bins of equal mass; NaN without rows."""
        positive, negative, predicted, squares, error = self._coarse(bins)
        weight = positive + negative
        total = float(weight.sum())
        if not total:
            return BrierParts(nan, nan, nan, nan, nan, nan)
        filled = weight > 0
        positive, predicted, squares, error, weight = (
            values[filled] for values in (positive, predicted, squares, error, weight)
        )
        rate, observed, mean = float(positive.sum()) / total, positive / weight, predicted / weight
        covered = (squares + positive - error) / 2 - mean * positive  # sum of (p - mean p) (y - mean y)
        return BrierParts(
            value=float(error.sum()) / total,
            reliability=float(np.sum(weight * (mean - observed) ** 2)) / total,
            resolution=float(np.sum(weight * (observed - rate) ** 2)) / total,
            uncertainty=rate * (1 - rate),
            within_variance=float(np.sum(squares - mean * predicted)) / total,
            within_covariance=2 * float(np.sum(covered)) / total,
        )

    def _coarse(self, bins: int) -> Floats:
        """The sums of neighbouring cells, so many bins of about equal mass (5, bins)."""
        weight = self.sums[0] + self.sums[1]
        total = float(weight.sum())
        if not total:
            return np.zeros((5, bins))
        middle = (np.cumsum(weight) - weight / 2) / total
        where = np.minimum((middle * bins).astype(np.intp), bins - 1)
        return np.stack([np.bincount(where, values, bins) for values in self.sums])
