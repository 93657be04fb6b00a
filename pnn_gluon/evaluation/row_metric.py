"""What every mergeable metric shares: rows come with a label and a weight, or as clicks of impressions."""

from abc import ABC, abstractmethod
from typing import Self

from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.arrays import class_weights, count_arrays


class RowMetric(ABC):
    """An immutable sum over rows: `update` adds rows, `+` adds the rows of two states, `value` is of all of them.

    A row counts by the weight of its clicks and that of its non-clicks, so that a row of an aggregated log is as good
    as the rows that it stands for.
    """

    def update(self, label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> Self:
        """Add rows: label 0 or 1 (B,), probability in [0, 1] (B,), weight >= 0 (B,) or none.

        Raises:
            InputError: for other values, NaN, or lengths that differ.
        """
        return self.add(*class_weights(label, weight), probability)

    def update_counts(self, clicks: ArrayLike, impressions: ArrayLike, probability: ArrayLike) -> Self:
        """Add rows of an aggregated log: clicks (B,) of impressions (B,), probability in [0, 1] (B,).

        Raises:
            InputError: for negative counts, more clicks than impressions, or lengths that differ.
        """
        return self.add(*count_arrays(clicks, impressions), probability)

    @abstractmethod
    def add(self, positive: Floats, negative: Floats, probability: ArrayLike) -> Self:
        """Add rows: weight of the clicks (B,), of the non-clicks (B,), probability (B,)."""

    @abstractmethod
    def __add__(self, other: Self) -> Self: ...


class LogitMetric(RowMetric):
    """One that can also be computed from the logit of the probability, exactly."""

    def update_logits(self, label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None) -> Self:
        """Add rows: label 0 or 1 (B,), finite logit of the probability (B,), weight >= 0 (B,) or none."""
        return self.add_logits(*class_weights(label, weight), logit)

    @abstractmethod
    def add_logits(self, positive: Floats, negative: Floats, logit: ArrayLike) -> Self:
        """Add rows: weight of the clicks (B,), of the non-clicks (B,), logit (B,)."""
