"""Slices of a day: groups of rows by one of their properties, and where predicted and observed clicks differ.

Mergeable sums in fixed memory. The rows of a slice fall into buckets by a hash of their units, rows or clusters, and
the variance of log PCOC comes from the buckets, linearized: random groups of independent units (Wolter 2007,
"Introduction to Variance Estimation", chapters 2 and 6). Of all slices of a day those are found whose PCOC is not 1 at
a false discovery rate of 5 % (Benjamini and Hochberg 1995, "Controlling the false discovery rate").
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.arrays import class_weights
from pnn_gluon.evaluation.identity import Identities
from pnn_gluon.evaluation.interval import LOG, student_bounds
from pnn_gluon.evaluation.log_loss import weighted_logit_loss
from pnn_gluon.evaluation.poisson import mixed
from pnn_gluon.evaluation.score_histogram import REACH, score_cells

BUCKETS = 128
"""A power of two."""
LEAST_BUCKETS = 10
"""With clicks, and without, below which their spread says too little."""
PER_LOGIT = 64
"""Bins for each unit of the logit, by which rows are ranked within a slice and divided by their score."""
CELLS = 2 * REACH * PER_LOGIT + 2
GROUPS = 10
"""Slices by score."""
SCORE = "score decile"
LEVEL = 0.95
DISCOVERIES = 0.05
"""False ones among those found, on average."""

_ROWS, _CLICKS, _PREDICTED, _LOSS = range(4)


@dataclasses.dataclass(frozen=True, eq=False)
class SlicedBy:
    """The rows by one property.

    Attributes:
        values: Its values (V).
        sums: Of each value and bucket: rows, clicks, sum of p, sum of the loss (V, BUCKETS, 4).
        scores: Of each value clicks and non-clicks by score (V, 2, CELLS).
    """

    values: tuple[str, ...]
    sums: Floats
    scores: Floats

    @classmethod
    def empty(cls, values: Sequence[str]) -> "SlicedBy":
        """No rows yet."""
        return cls(tuple(values), np.zeros((len(values), BUCKETS, 4)), np.zeros((len(values), 2, CELLS)))

    def update(
        self,
        where: NDArray[np.intp],
        unit: Identities,
        label: Floats,
        probability: Floats,
        calibrated_logit: Floats,
        weight: Floats | None = None,
    ) -> "SlicedBy":
        """Add rows.

        Args:
            where: The position of each row's value (B,).
            unit: What each row is drawn by (B,).
            label: 0 or 1 (B,).
            probability: Calibrated (B,).
            calibrated_logit: Of that (B,).
            weight: How many impressions each row stands for (B,), or none.
        """
        size, cell = len(self.values), where * CELLS + score_cells(calibrated_logit, PER_LOGIT)
        ranked = [np.bincount(cell, each, size * CELLS).reshape(size, CELLS) for each in class_weights(label, weight)]
        sums = _sums(size, where, unit, label, probability, calibrated_logit, weight)
        return SlicedBy(self.values, self.sums + sums, self.scores + np.stack(ranked, axis=1))

    def __add__(self, other: "SlicedBy") -> "SlicedBy":
        return SlicedBy(self.values, self.sums + other.sums, self.scores + other.scores)


@dataclasses.dataclass(frozen=True, eq=False)
class Slices:
    """The rows by several properties, and by score."""

    by: Mapping[str, SlicedBy]
    scored: Floats = dataclasses.field(default_factory=lambda: np.zeros((CELLS, BUCKETS, 4)))

    def update(
        self,
        where: Mapping[str, NDArray[np.intp]],
        unit: Identities,
        label: Floats,
        probability: Floats,
        calibrated_logit: Floats,
        weight: Floats | None = None,
    ) -> "Slices":
        """Add rows; see `SlicedBy.update`, with a position for each property."""
        rows = unit, label, probability, calibrated_logit, weight
        scored = _sums(CELLS, score_cells(calibrated_logit, PER_LOGIT), *rows)
        return Slices({name: each.update(where[name], *rows) for name, each in self.by.items()}, self.scored + scored)

    def __add__(self, other: "Slices") -> "Slices":
        return Slices({name: each + other.by[name] for name, each in self.by.items()}, self.scored + other.scored)

    def told(self, min_clicks: int) -> list[dict[str, Any]]:
        """Every slice with rows: those found first, those with the most clicks too many or too few at their head.

        Keys: by, value, rows, clicks, click_rate, mean_probability, pcoc, low, high, p, found, log_loss, auc.

        Args:
            min_clicks: Rows with clicks, and without, below which there is no interval, and nothing is found.
        """
        every = [*self._by_score(min_clicks)]
        for name, each in self.by.items():
            every += [
                _slice(name, value, sums, _area(*scores), min_clicks)
                for value, sums, scores in zip(each.values, each.sums, each.scores, strict=True)
                if sums[:, _ROWS].any()
            ]
        found = _discoveries([each["p"] for each in every])
        told = [{**each, "found": is_found} for each, is_found in zip(every, found, strict=True)]
        return sorted(told, key=lambda each: -_off(each) if each["found"] else 0.0)

    def _by_score(self, min_clicks: int) -> Iterator[dict[str, Any]]:
        """Groups of about as many rows each, by rising score."""
        rows = self.scored[:, :, _ROWS].sum(axis=1)
        if not rows.any():
            return
        group = np.minimum((np.cumsum(rows) - rows / 2) / rows.sum() * GROUPS, GROUPS - 1).astype(np.intp)
        for number in range(GROUPS):
            sums = self.scored[group == number].sum(axis=0)
            if sums[:, _ROWS].any():
                yield _slice(SCORE, str(number + 1), sums, None, min_clicks)


def _sums(
    size: int,
    where: NDArray[np.intp],
    unit: Identities,
    label: Floats,
    probability: Floats,
    logit: Floats,
    weight: Floats | None,
) -> Floats:
    """Of each of `size` values and bucket: rows, clicks, sum of p, sum of the loss (size, BUCKETS, 4)."""
    bucket = (mixed(unit) & np.uint64(BUCKETS - 1)).astype(np.intp)
    positive, negative = class_weights(label, weight)
    rows = positive + negative
    columns = (rows, positive, rows * probability, weighted_logit_loss(positive, negative, logit))
    counted = [np.bincount(where * BUCKETS + bucket, each, size * BUCKETS) for each in columns]
    return np.stack(counted, axis=-1).reshape(size, BUCKETS, 4).astype(np.float64, copy=False)


def _slice(by: str, value: str, sums: Floats, auc: float | None, min_clicks: int) -> dict[str, Any]:
    rows, clicks, predicted, loss = (float(total) for total in sums.sum(axis=0))
    low, high, p = _tested(sums, min_clicks)
    return {
        "by": by,
        "value": value,
        "rows": int(rows),
        "clicks": int(clicks),
        "click_rate": clicks / rows,
        "mean_probability": predicted / rows,
        "pcoc": predicted / clicks if clicks else None,
        "low": low,
        "high": high,
        "p": p,
        "log_loss": loss / rows,
        "auc": auc,
    }


def _tested(sums: Floats, min_clicks: int) -> tuple[float | None, float | None, float | None]:
    """The 95 % interval of PCOC, and how likely a PCOC of 1 gives one so far from it; None where there are too few."""
    from scipy.stats import t

    rows, clicks, predicted = sums[:, _ROWS], sums[:, _CLICKS], sums[:, _PREDICTED]
    positive, negative = clicks.sum(), (rows - clicks).sum()
    spread = min(np.count_nonzero(clicks), np.count_nonzero(rows - clicks))  # at most BUCKETS, whatever min_clicks is
    if min(positive, negative) < min_clicks or spread < min(min_clicks, LEAST_BUCKETS):
        return None, None, None
    influence = (predicted / predicted.sum() - clicks / positive)[rows > 0]
    squares = float(np.sum(influence**2))
    if not squares:
        return None, None, None
    error = (squares * influence.size / (influence.size - 1)) ** 0.5
    freedom = max(1.0, squares**2 / float(np.sum(influence**4)) - 1)
    pcoc = float(predicted.sum() / positive)
    low, high = student_bounds(pcoc, error, LEVEL, freedom, LOG)
    return low, high, float(2 * t.sf(abs(np.log(pcoc)) / error, freedom))


def _area(positive: Floats, negative: Floats) -> float | None:
    """AUC of scores in bins, ties counted half; None with one class."""
    pairs = positive.sum() * negative.sum()
    below = np.cumsum(negative) - negative / 2
    return float(np.sum(positive * below) / pairs) if pairs else None


def _discoveries(chances: Sequence[float | None]) -> list[bool]:
    from scipy.stats import false_discovery_control

    known = [p for p in chances if p is not None]
    adjusted = iter(false_discovery_control(known) if known else ())
    return [p is not None and bool(next(adjusted) <= DISCOVERIES) for p in chances]


def _off(each: Mapping[str, Any]) -> float:
    """How many clicks more were predicted than observed, or fewer."""
    return float(abs(each["mean_probability"] * each["rows"] - each["clicks"]))
