"""Click metrics as mergeable sums: batches, slices, days and machines each add up to the same number.

Every state is immutable: `update` and `+` answer a new one, an empty state is the zero of `+`, and `value` is
NaN where the metric is undefined (no rows, one class only); `ClickMetrics.summary` says None there instead.
Sums are numpy's own, not BLAS products, which would round differently with another number of threads.

>>> batch = [0, 1, 1], [0.2, 0.1, 0.9]
>>> Auc().update(*batch).value(), (Auc().update(*batch) + Auc()).value()
(0.5, 0.5)
"""

from dataclasses import dataclass, field
from math import isfinite, nan

from numpy.typing import ArrayLike

from pnn_gluon.evaluation.arrays import class_weights, logit_array, probability_array
from pnn_gluon.evaluation.auc import Auc
from pnn_gluon.evaluation.ece import BIN_EDGES, BIN_LOGITS, Ece
from pnn_gluon.evaluation.log_loss import LogLoss, NormalizedEntropy, entropy, row_log_loss, row_logit_loss
from pnn_gluon.evaluation.pcoc import Pcoc

__all__ = [
    "BIN_EDGES",
    "BIN_LOGITS",
    "Auc",
    "ClickMetrics",
    "Ece",
    "LogLoss",
    "NormalizedEntropy",
    "Pcoc",
    "entropy",
    "row_log_loss",
    "row_logit_loss",
]

MERGED = 1.1
"""Distinct scores of the model for each distinct probability, above which ranks count as merged."""


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
        weight: ArrayLike | None = None,
    ) -> "ClickMetrics":
        """Add rows.

        Args:
            label: 0 or 1 (B,).
            logit: The model's (B,), for its ranks.
            probability: Calibrated, in [0, 1] (B,): what is served.
            calibrated_logit: Of that probability (B,); with it the log loss is exact, without it a probability of
                exactly 0 or 1 against the label makes it infinite.
            weight: How many impressions each row stands for (B,), whole numbers >= 0; `rows` counts these.

        Raises:
            InputError: for labels other than 0 and 1, logits that are not finite, probabilities outside [0, 1],
                NaN, or lengths that differ.
        """
        positive, negative = class_weights(label, weight)
        p, both = probability_array(probability, positive.size), (positive, negative)
        entropies = self.normalized_entropy
        return ClickMetrics(
            self.rows + round(float(positive.sum() + negative.sum())),
            self.auc.add(*both, logit_array(logit, positive.size)),
            self.served_auc.add(*both, p),
            entropies.add(*both, p) if calibrated_logit is None else entropies.add_logits(*both, calibrated_logit),
            self.pcoc.add(*both, p),
            self.ece.add(*both, p),
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
