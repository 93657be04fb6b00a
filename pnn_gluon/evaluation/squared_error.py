"""The Brier score, and its root."""

from dataclasses import dataclass
from math import nan, sqrt
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.arrays import probability_array
from pnn_gluon.evaluation.row_metric import RowMetric


@dataclass(frozen=True)
class SquaredError(RowMetric):
    """Mean squared error of the probability, mean((p - y)^2): the score of Brier (1950) for two classes.

    What it consists of is in `ScoreHistogram.brier`. NaN without rows.
    """

    error: float = 0.0
    weight: float = 0.0

    def add(self, positive: Floats, negative: Floats, probability: ArrayLike) -> Self:
        """Add rows by their weight of clicks (B,) and of non-clicks (B,)."""
        p = probability_array(probability, positive.size)
        error = positive * (1 - p) ** 2 + negative * p**2
        return self + type(self)(float(np.sum(error)), float(np.sum(positive + negative)))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.error + other.error, self.weight + other.weight)

    def value(self) -> float:
        """The Brier score, from 0 to 1; NaN without rows."""
        return self.error / self.weight if self.weight else nan

    def rmse(self) -> float:
        """The root of it: a difference of probabilities."""
        return sqrt(self.value())
