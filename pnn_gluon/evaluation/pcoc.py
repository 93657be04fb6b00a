"""Predicted clicks over observed clicks."""

from dataclasses import dataclass
from math import nan
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.arrays import probability_array
from pnn_gluon.evaluation.row_metric import RowMetric


@dataclass(frozen=True)
class Pcoc(RowMetric):
    """Predicted clicks over observed clicks, sum p / sum y: 1 is calibrated on average, 3 bids three times too high.

    NaN without positives.
    """

    predicted: float = 0.0
    positive: float = 0.0

    def add(self, positive: Floats, negative: Floats, probability: ArrayLike) -> Self:
        """Add rows by their weight of clicks (B,) and of non-clicks (B,)."""
        p = probability_array(probability, positive.size)
        return self + type(self)(float(np.sum((positive + negative) * p)), float(np.sum(positive)))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.predicted + other.predicted, self.positive + other.positive)

    def value(self) -> float:
        """Predicted over observed; NaN without positives."""
        return self.predicted / self.positive if self.positive else nan
