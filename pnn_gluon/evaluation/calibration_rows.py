"""The rows that a calibrator is fitted to."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.arrays import label_array, logit_array, weight_array


class CalibrationRows(NamedTuple):
    """Corrected logits, labels 0 or 1 and weights, all (B,), sorted: the same rows in any order are the same.

    A weight is a number of equal rows, such as impressions of an aggregated log.
    """

    logit: Floats
    label: Floats
    weight: Floats

    @classmethod
    def of(cls, logit: ArrayLike, label: ArrayLike, weight: ArrayLike | None = None) -> Self:
        """Checked and sorted; rows of weight 0 are left out.

        Raises:
            InputError: logits that are not finite, labels other than 0 and 1, weights that are negative or not finite,
                or lengths that differ.
        """
        y = label_array(label)
        x, w = logit_array(logit, y.size), weight_array(weight, y.size)
        order = np.lexsort((w, y, x))
        order = order[w[order] > 0]
        return cls(x[order] + 0.0, y[order], w[order])  # + 0.0 turns -0.0 into 0.0: they are one value

    @property
    def total(self) -> float:
        """The sum of weights: rows."""
        return float(self.weight.sum())

    @property
    def clicks(self) -> float:
        """The sum of the weights of clicks."""
        return float((self.weight * self.label).sum())

    @property
    def of_rarer_class(self) -> float:
        """Clicks or non-clicks, whichever are fewer."""
        return min(self.clicks, self.total - self.clicks)

    def mean(self, value: Floats) -> float:
        """The weighted mean of a value of each row (B,)."""
        return float((self.weight * value).sum() / self.weight.sum())

    def weighing(self, weight: Floats) -> Self:
        """The same rows with other weights (B,)."""
        kept = weight > 0
        return type(self)(self.logit[kept], self.label[kept], weight[kept])
