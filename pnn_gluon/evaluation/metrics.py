"""Click metrics as mergeable sums: batches, slices, days and machines each add up to the same number.

Every state is immutable: `update` and `+` answer a new one, an empty state is the zero of `+`, and `value` is
NaN where the metric is undefined (no rows, one class only); `ClickMetrics.summary` says None there instead.
Sums are numpy's own, not BLAS products, which would round differently with another number of threads.

>>> batch = [0, 1, 1], [0.2, 0.1, 0.9]
>>> Auc().update(*batch).value(), (Auc().update(*batch) + Auc()).value()
(0.5, 0.5)
"""

from dataclasses import dataclass, field
from math import isfinite, log, nan
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.arrays import (
    label_array,
    logit_array,
    probability_array,
    score_array,
    weight_array,
)

BIN_LOGITS: Floats = np.arange(-40, 41) / 4
"""Inner edges of the calibration bins on the logit scale: -10, -9.75, ..., 10; with the two open ends, 82 bins."""

BIN_EDGES: Floats = 1 / (1 + np.exp(-BIN_LOGITS))
"""The same edges as probabilities, 4.5e-5 to 1 - 4.5e-5; a value on an edge belongs to the bin above it."""


MERGED = 1.1
"""Distinct scores of the model for each distinct probability, above which ranks count as merged."""


@dataclass(frozen=True, eq=False)
class _Run:
    """Distinct scores in ascending order with the weight of positives and negatives at each."""

    score: Floats  # (D,)
    positive: Floats  # (D,)
    negative: Floats  # (D,)

    @classmethod
    def of(cls, score: Floats, positive: Floats, negative: Floats) -> Self:
        order = np.argsort(score, kind="stable")
        score, positive, negative = score[order], positive[order], negative[order]
        start = np.flatnonzero(np.concatenate(([True], score[1:] != score[:-1])))
        return cls(score[start], np.add.reduceat(positive, start), np.add.reduceat(negative, start))

    def merge(self, other: "_Run") -> "_Run":
        return _Run.of(
            np.concatenate((self.score, other.score)),
            np.concatenate((self.positive, other.positive)),
            np.concatenate((self.negative, other.negative)),
        )


@dataclass(frozen=True, eq=False)
class Auc:
    """Area under the ROC curve, exact: the chance that a positive scores above a negative, ties count half.

        AUC = sum_{i: y=1} sum_{j: y=0} w_i w_j ([s_i > s_j] + [s_i = s_j] / 2) / (W_pos W_neg)

    The score may be the logit or the probability; a strictly increasing transform leaves the value as it is.
    State: sorted runs of distinct scores, merged when neighbours are of like size, so that n rows in any number
    of batches cost O(n log n) in all. NaN unless both classes have weight.
    """

    runs: tuple[_Run, ...] = ()

    def update(self, label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> "Auc":
        """Add rows: label 0 or 1 (B,), probability or any other score (B,), weight (B,) or none.

        Raises:
            InputError: for labels other than 0 and 1, NaN scores, or lengths that differ.
        """
        y = label_array(label)
        score, w = score_array(probability, y.size), weight_array(weight, y.size)
        return self + Auc((_Run.of(score, w * y, w * (1 - y)),)) if y.size else self

    def __add__(self, other: "Auc") -> "Auc":
        runs: list[_Run] = []
        for run in self.runs + other.runs:
            runs.append(run)
            while len(runs) > 1 and runs[-2].score.size < 2 * runs[-1].score.size:
                last = runs.pop()
                runs[-1] = runs[-1].merge(last)
        return Auc(tuple(runs))

    def distinct(self) -> int:
        """How many different scores there are."""
        return self._whole().score.size if self.runs else 0

    def _whole(self) -> _Run:
        whole = self.runs[-1]
        for run in reversed(self.runs[:-1]):
            whole = run.merge(whole)
        return whole

    def value(self) -> float:
        """The area, from 0 to 1; NaN when a class is missing."""
        if not self.runs:
            return nan
        whole = self._whole()
        below = np.cumsum(whole.negative) - whole.negative / 2  # (D,) negatives below, half of those equal
        pairs = float(whole.positive.sum()) * float(whole.negative.sum())
        return float(np.sum(whole.positive * below)) / pairs if pairs else nan


def row_log_loss(label: Floats, probability: Floats) -> Floats:
    """-log p for a positive, -log(1 - p) for a negative, in nats (B,); inf for a certain and wrong probability."""
    with np.errstate(divide="ignore"):
        return -np.where(label == 1, np.log(probability), np.log1p(-probability)) + 0.0


def row_logit_loss(label: Floats, logit: Floats) -> Floats:
    """log(1 + exp(-t z)) with t = 2 y - 1, in nats (B,): the log loss of sigmoid(z), exact and finite for any logit.

    The probability of a logit of 36.8 is exactly 1 in float64, and its log loss infinite; the loss here is 36.8.
    """
    loss: Floats = np.logaddexp(0, (1 - 2 * label) * logit)
    return loss


@dataclass(frozen=True)
class LogLoss:
    """Mean log loss in nats, -mean(y log p + (1 - y) log(1 - p)), in float64 and without clipping.

    A probability of exactly 0 or 1 against the label makes it inf; where logits are at hand, `update_logits` is exact.
    """

    loss: float = 0.0
    weight: float = 0.0

    def update(self, label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> "LogLoss":
        """Add rows: label 0 or 1 (B,), probability in [0, 1] (B,), weight (B,) or none."""
        y = label_array(label)
        p, w = probability_array(probability, y.size), weight_array(weight, y.size)
        counted = w > 0  # a row of weight 0 adds nothing, even when its loss is inf
        return self + LogLoss(float(np.sum(w[counted] * row_log_loss(y[counted], p[counted]))), float(w.sum()))

    def update_logits(self, label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None) -> "LogLoss":
        """Add rows: label 0 or 1 (B,), finite logit of the probability (B,), weight (B,) or none."""
        y = label_array(label)
        z, w = logit_array(logit, y.size), weight_array(weight, y.size)
        return self + LogLoss(float(np.sum(w * row_logit_loss(y, z))), float(w.sum()))

    def __add__(self, other: "LogLoss") -> "LogLoss":
        return LogLoss(self.loss + other.loss, self.weight + other.weight)

    def value(self) -> float:
        """Nats a row; NaN without rows."""
        return self.loss / self.weight if self.weight else nan


def entropy(rate: float) -> float:
    """Entropy of a coin in nats, -(r log r + (1 - r) log(1 - r)); 0 at 0 and 1."""
    return -sum(share * log(share) for share in (rate, 1 - rate) if share > 0)


@dataclass(frozen=True)
class NormalizedEntropy:
    """Log loss over the entropy of the click rate: 1 is what the constant click rate gets, lower is better.

    Comparable between days of different click rates. Source: He et al. 2014, "Practical lessons from predicting
    clicks on ads at Facebook", section 3. NaN when a class is missing.
    """

    log_loss: LogLoss = field(default_factory=LogLoss)
    positive: float = 0.0

    def update(self, label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> "NormalizedEntropy":
        """Add rows: label 0 or 1 (B,), probability in [0, 1] (B,), weight (B,) or none."""
        y = label_array(label)
        positive = float(np.sum(weight_array(weight, y.size) * y))
        return self + NormalizedEntropy(LogLoss().update(y, probability, weight), positive)

    def update_logits(self, label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None) -> "NormalizedEntropy":
        """Add rows: label 0 or 1 (B,), finite logit of the probability (B,), weight (B,) or none."""
        y = label_array(label)
        positive = float(np.sum(weight_array(weight, y.size) * y))
        return self + NormalizedEntropy(LogLoss().update_logits(y, logit, weight), positive)

    def __add__(self, other: "NormalizedEntropy") -> "NormalizedEntropy":
        return NormalizedEntropy(self.log_loss + other.log_loss, self.positive + other.positive)

    def value(self) -> float:
        """Log loss over entropy, a ratio; NaN when a class is missing."""
        weight = self.log_loss.weight
        base = entropy(self.positive / weight) if weight else 0.0
        return self.log_loss.value() / base if base else nan

    def rig(self) -> float:
        """Relative information gain, 1 - normalized entropy: the share of the entropy that the model explains."""
        return 1 - self.value()


@dataclass(frozen=True)
class Pcoc:
    """Predicted clicks over observed clicks, sum p / sum y: 1 is calibrated on average, 3 bids three times too high.

    NaN without positives.
    """

    predicted: float = 0.0
    positive: float = 0.0

    def update(self, label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> "Pcoc":
        """Add rows: label 0 or 1 (B,), probability in [0, 1] (B,), weight (B,) or none."""
        y = label_array(label)
        p, w = probability_array(probability, y.size), weight_array(weight, y.size)
        return self + Pcoc(float(np.sum(w * p)), float(np.sum(w * y)))

    def __add__(self, other: "Pcoc") -> "Pcoc":
        return Pcoc(self.predicted + other.predicted, self.positive + other.positive)

    def value(self) -> float:
        """Predicted over observed; NaN without positives."""
        return self.predicted / self.positive if self.positive else nan


def _no_bins() -> Floats:
    return np.zeros((3, BIN_EDGES.size + 1))


@dataclass(frozen=True, eq=False)
class Ece:
    """Expected calibration error over the fixed bins BIN_EDGES: sum_b (n_b / n) |mean p_b - mean y_b|.

    The bins are a quarter of a logit wide (a step of 28 % in a small probability) and the same for every model
    and day, so the state is a sum: rows' weight, predicted and observed clicks of each bin.
    """

    sums: Floats = field(default_factory=_no_bins)  # (3, bins): weight, sum of p, sum of y

    def update(self, label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> "Ece":
        """Add rows: label 0 or 1 (B,), probability in [0, 1] (B,), weight (B,) or none."""
        y = label_array(label)
        p, w = probability_array(probability, y.size), weight_array(weight, y.size)
        where = np.searchsorted(BIN_EDGES, p, side="right")
        counts = [np.bincount(where, weights=v, minlength=BIN_EDGES.size + 1) for v in (w, w * p, w * y)]
        return self + Ece(np.stack(counts))

    def __add__(self, other: "Ece") -> "Ece":
        return Ece(self.sums + other.sums)

    def value(self) -> float:
        """The error as a difference of probabilities; NaN without rows."""
        weight, predicted, positive = self.sums
        return float(np.abs(predicted - positive).sum() / weight.sum()) if weight.any() else nan

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


@dataclass(frozen=True, eq=False)
class ClickMetrics:
    """All of the above on the same rows, with their number: ranks of the model's logit and of what is served."""

    rows: int = 0
    auc: Auc = field(default_factory=Auc)
    served_auc: Auc = field(default_factory=Auc)
    normalized_entropy: NormalizedEntropy = field(default_factory=NormalizedEntropy)
    pcoc: Pcoc = field(default_factory=Pcoc)
    ece: Ece = field(default_factory=Ece)

    def update(
        self,
        label: ArrayLike,
        logit: ArrayLike,
        probability: ArrayLike,
        calibrated_logit: ArrayLike | None = None,
    ) -> "ClickMetrics":
        """Add rows.

        Args:
            label: 0 or 1 (B,).
            logit: The model's (B,), for its ranks.
            probability: Calibrated, in [0, 1] (B,): what is served.
            calibrated_logit: Of that probability (B,); with it the log loss is exact, without it a probability of
                exactly 0 or 1 against the label makes it infinite.

        Raises:
            InputError: for labels other than 0 and 1, logits that are not finite, probabilities outside [0, 1],
                NaN, or lengths that differ.
        """
        y = label_array(label)
        p = probability_array(probability, y.size)
        entropies = self.normalized_entropy
        return ClickMetrics(
            self.rows + y.size,
            self.auc.update(y, logit_array(logit, y.size)),
            self.served_auc.update(y, p),
            entropies.update(y, p) if calibrated_logit is None else entropies.update_logits(y, calibrated_logit),
            self.pcoc.update(y, p),
            self.ece.update(y, p),
        )

    def __add__(self, other: "ClickMetrics") -> "ClickMetrics":
        return ClickMetrics(
            self.rows + other.rows,
            self.auc + other.auc,
            self.served_auc + other.served_auc,
            self.normalized_entropy + other.normalized_entropy,
            self.pcoc + other.pcoc,
            self.ece + other.ece,
        )

    def summary(self) -> dict[str, float | int | None]:
        """The numbers by name, fit for strict JSON: None where undefined or infinite, never NaN.

        Keys: rows, positives, ctr, mean_probability, auc (of the model's logit), served_auc (of the probability),
        log_loss, normalized_entropy, rig, pcoc, ece.
        """
        numbers = {
            "ctr": self.pcoc.positive / self.rows if self.rows else nan,
            "mean_probability": self.pcoc.predicted / self.rows if self.rows else nan,
            "auc": self.auc.value(),
            "served_auc": self.served_auc.value(),
            "log_loss": self.normalized_entropy.log_loss.value(),
            "normalized_entropy": self.normalized_entropy.value(),
            "rig": self.normalized_entropy.rig(),
            "pcoc": self.pcoc.value(),
            "ece": self.ece.value(),
        }
        defined = {name: value if isfinite(value) else None for name, value in numbers.items()}
        return {"rows": self.rows, "positives": int(self.pcoc.positive), **defined}

    def warnings(self) -> list[str]:
        """What about the scores deserves a look: all equal, or ranks that calibration merged."""
        model, served = self.auc.distinct(), self.served_auc.distinct()
        if self.rows > 1 and model == 1:
            return [f"all {self.rows} scores of the model are equal: it tells no row from another"]
        if model > MERGED * served:
            return [f"calibration merges ranks: {served} probabilities of {model} scores; calibrate the model again"]
        return []

    def reliability(self) -> list[dict[str, float]]:
        """The reliability table of `Ece.table`."""
        return self.ece.table()
