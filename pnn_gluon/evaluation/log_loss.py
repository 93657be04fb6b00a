"""Log loss, and its ratio to the entropy of the click rate."""

from dataclasses import dataclass, field
from math import log, nan
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.arrays import logit_array, probability_array
from pnn_gluon.evaluation.row_metric import LogitMetric


def row_log_loss(label: Floats, probability: Floats) -> Floats:
    """-log p for a positive, -log(1 - p) for a negative, in nats (B,); inf for a certain and wrong probability."""
    return weighted_log_loss(label, 1 - label, probability)


def row_logit_loss(label: Floats, logit: Floats) -> Floats:
    """log(1 + exp(-t z)) with t = 2 y - 1, in nats (B,): the log loss of sigmoid(z), exact and finite for any logit.

    The probability of a logit of 36.8 is exactly 1 in float64, and its log loss infinite; the loss here is 36.8.
    """
    return weighted_logit_loss(label, 1 - label, logit)


def weighted_logit_loss(positive: Floats, negative: Floats, logit: Floats) -> Floats:
    """Losses of rows that stand for `positive` clicks (B,) and `negative` non-clicks (B,) of this logit (B,), in nats.

    log(1 + exp(x)) = log(1 + exp(-|x|)) + max(x, 0), with x = -z for a click and z for a non-click.
    """
    loss: Floats = np.log1p(np.exp(-np.abs(logit)))
    loss *= positive + negative
    loss += positive * np.maximum(-logit, 0)
    loss += negative * np.maximum(logit, 0)
    return loss


def weighted_log_loss(positive: Floats, negative: Floats, probability: Floats) -> Floats:
    """The same of probabilities (B,): inf for a certain and wrong one, unless its weight is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        clicks, others = -positive * np.log(probability), -negative * np.log1p(-probability)
    loss: Floats = np.where(positive > 0, clicks, 0.0) + np.where(negative > 0, others, 0.0)
    return loss


def entropy(rate: float) -> float:
    """Entropy of a coin in nats, -(r log r + (1 - r) log(1 - r)); 0 at 0 and 1."""
    return -sum(share * log(share) for share in (rate, 1 - rate) if share > 0)


@dataclass(frozen=True)
class LogLoss(LogitMetric):
    """Mean log loss in nats, -mean(y log p + (1 - y) log(1 - p)), in float64 and without clipping.

    A probability of exactly 0 or 1 against the label makes it inf; where logits are at hand, `update_logits` is exact.
    """

    loss: float = 0.0
    weight: float = 0.0

    def add(self, positive: Floats, negative: Floats, probability: ArrayLike) -> Self:
        """Add rows by their weight of clicks (B,) and of non-clicks (B,)."""
        p = probability_array(probability, positive.size)
        return self._with(weighted_log_loss(positive, negative, p), positive + negative)

    def add_logits(self, positive: Floats, negative: Floats, logit: ArrayLike) -> Self:
        """The same, by the logit of the probability (B,)."""
        z = logit_array(logit, positive.size)
        return self._with(weighted_logit_loss(positive, negative, z), positive + negative)

    def _with(self, loss: Floats, weight: Floats) -> Self:
        return self + type(self)(float(np.sum(loss)), float(np.sum(weight)))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.loss + other.loss, self.weight + other.weight)

    def value(self) -> float:
        """Nats a row; NaN without rows."""
        return self.loss / self.weight if self.weight else nan


@dataclass(frozen=True)
class NormalizedEntropy(LogitMetric):
    """Log loss over the entropy of the click rate: 1 is what the constant click rate gets, lower is better.

    Comparable between days of different click rates. Source: He et al. 2014, "Practical lessons from predicting
    clicks on ads at Facebook", section 3. NaN when a class is missing.
    """

    log_loss: LogLoss = field(default_factory=LogLoss)
    positive: float = 0.0

    def add(self, positive: Floats, negative: Floats, probability: ArrayLike) -> Self:
        """Add rows by their weight of clicks (B,) and of non-clicks (B,)."""
        return self + type(self)(LogLoss().add(positive, negative, probability), float(np.sum(positive)))

    def add_logits(self, positive: Floats, negative: Floats, logit: ArrayLike) -> Self:
        """The same, by the logit of the probability (B,)."""
        return self + type(self)(LogLoss().add_logits(positive, negative, logit), float(np.sum(positive)))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.log_loss + other.log_loss, self.positive + other.positive)

    def value(self) -> float:
        """Log loss over entropy, a ratio; NaN when a class is missing."""
        weight = self.log_loss.weight
        base = entropy(self.positive / weight) if weight else 0.0
        return self.log_loss.value() / base if base else nan

    def rig(self) -> float:
        """Relative information gain, 1 - normalized entropy: the share of the entropy that the model explains."""
        return 1 - self.value()
