"""Poisson bootstrap of click metrics as a mergeable state: rows, or clusters of rows, of one model or several.

Up to EXACT_ROWS rows are kept, and every unit (a row, or all rows of a cluster) is drawn by itself. Beyond, units fall
by a hash into BUCKETS buckets, and buckets are drawn: random groups of independent units are independent themselves and
vary as much (Wolter 2007, "Introduction to Variance Estimation", chapter 2). What a bucket costs in precision is known:
a standard error from G of them is itself off by 1 / sqrt(2 G), 3 %, as that of a bootstrap of R repeats is by
1 / sqrt(2 R); both widen the interval through Student's t. Memory is then fixed, 4 MB a model, and some 10 MB of rows
that wait to be added to buckets together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnn_gluon.arrays import Floats
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import class_weights, logit_array
from pnn_gluon.evaluation.identity import Identities
from pnn_gluon.evaluation.interval import LOG, LOGIT, PLAIN, MetricInterval, Scale, student_bounds
from pnn_gluon.evaluation.log_loss import weighted_logit_loss
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.poisson import mixed, poisson_weights
from pnn_gluon.evaluation.score_histogram import REACH, score_cells

Metric: TypeAlias = Literal["auc", "log_loss", "normalized_entropy", "pcoc", "brier", "rmse"]

SCALES: dict[Metric, Scale] = {
    "auc": LOGIT,
    "log_loss": LOG,
    "normalized_entropy": LOG,
    "pcoc": LOG,
    "brier": LOG,
    "rmse": LOG,
}
"""The metrics, and the scale of the interval of each; differences have that of the metric itself."""

EXACT_ROWS = 20_000
WAITING_ROWS = 2**18
"""Rows at most that wait for their buckets, at least EXACT_ROWS."""
BUCKETS = 512
"""A power of two."""
PER_LOGIT = 16
"""Score bins of a bucket for each unit of the logit. They give the spread of an AUC, not its value."""

_CELLS = 2 * REACH * PER_LOGIT + 2
_AT_ONCE = 2**21
"""Numbers of a block of repeats: 16 MB."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows as they came."""

    unit: Identities  # (n,)
    positive: Floats  # (n,)
    negative: Floats  # (n,)
    logit: Floats  # (M, n)

    def sums(self, where: NDArray[np.intp], units: int) -> Floats:
        """Of each unit: clicks, non-clicks, then of each model sums of p, loss and (p - y)^2 (units, 2 + 3 M)."""
        columns: list[Floats] = [self.positive, self.negative]
        for logit in self.logit:
            p = sigmoid(logit)
            columns.append((self.positive + self.negative) * p)
            columns.append(weighted_logit_loss(self.positive, self.negative, logit))
            columns.append(self.positive * np.square(1 - p) + self.negative * np.square(p))
        return np.stack([np.bincount(where, column, units) for column in columns], axis=1)


def _together(rows: Sequence[_Rows]) -> _Rows:
    if len(rows) == 1:
        return rows[0]
    return _Rows(
        np.concatenate([each.unit for each in rows]),
        np.concatenate([each.positive for each in rows]),
        np.concatenate([each.negative for each in rows]),
        np.concatenate([each.logit for each in rows], axis=1),
    )


class _Units:
    """The rows of a small set by unit."""

    def __init__(self, rows: _Rows) -> None:
        self.identity, self._unit = np.unique(rows.unit, return_inverse=True)
        self.sums = rows.sums(self._unit, self.identity.size)
        self.width = self._unit.size
        """Numbers of a model that a repeat needs."""
        self._ranked = [_Ranked(logit, rows.positive, rows.negative, self._unit) for logit in rows.logit]

    def auc(self, weight: Floats) -> Floats:
        """Of each model, with so many of each unit (R, U): (M, R)."""
        return np.stack([ranked.auc(weight) for ranked in self._ranked])


class _Ranked:
    """Rows in the order of a score, ties together."""

    def __init__(self, score: Floats, positive: Floats, negative: Floats, unit: NDArray[np.intp]) -> None:
        order = np.argsort(score, kind="stable")
        ordered = score[order]
        self._ties = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        self._positive, self._negative, self._unit = positive[order], negative[order], unit[order]

    def auc(self, weight: Floats) -> Floats:
        drawn = weight[:, self._unit]  # (R, n)
        return _areas(self._tied(drawn * self._positive), self._tied(drawn * self._negative))

    def _tied(self, values: Floats) -> Floats:
        return values if self._ties.size == values.shape[1] else np.add.reduceat(values, self._ties, axis=1)


def _areas(positive: Floats, negative: Floats) -> Floats:
    """The AUC of each row of weights by rising score (R, D); NaN where a class is missing."""
    below = np.cumsum(negative, axis=1)
    pairs = below[:, -1] * positive.sum(axis=1)
    below -= negative / 2
    with np.errstate(invalid="ignore"):
        areas: Floats = (positive * below).sum(axis=1) / pairs
    return areas


@dataclass(frozen=True, eq=False)
class _Buckets:
    """The rows of a large set by the bucket of their unit."""

    sums: Floats  # (BUCKETS, 2 + 3 M)
    scores: Floats  # (M, BUCKETS, 2, cells): clicks and non-clicks by score

    @classmethod
    def of(cls, rows: _Rows) -> "_Buckets":
        bucket = (mixed(rows.unit) & np.uint64(BUCKETS - 1)).astype(np.intp)
        shape = (BUCKETS, _CELLS)
        scores = []
        for logit in rows.logit:
            cell = bucket * _CELLS + score_cells(logit, PER_LOGIT)
            found = [np.bincount(cell, w, BUCKETS * _CELLS).reshape(shape) for w in (rows.positive, rows.negative)]
            scores.append(np.stack(found, axis=1))
        return cls(rows.sums(bucket, BUCKETS), np.stack(scores))

    def __add__(self, other: "_Buckets") -> "_Buckets":
        return _Buckets(self.sums + other.sums, self.scores + other.scores)

    @property
    def identity(self) -> Identities:
        return np.arange(BUCKETS, dtype=np.uint64)

    @property
    def width(self) -> int:
        return 2 * _CELLS

    def auc(self, weight: Floats) -> Floats:
        """Of each model, with so many of each bucket (R, BUCKETS): (M, R)."""
        drawn = np.einsum("rg,mgyc->myrc", weight, self.scores)
        return np.stack([_areas(positive, negative) for positive, negative in drawn])


class Draws:
    """What a bootstrap drew: the metrics of each model, as they are and in every repeat."""

    def __init__(self, drawn: "_Units | _Buckets", repeats: int, seed: int) -> None:
        self._drawn, self._repeats, self._seed = drawn, repeats, seed
        weight = drawn.sums[:, 0] + drawn.sums[:, 1]
        with np.errstate(invalid="ignore"):
            self.units = float(weight.sum() ** 2 / np.sum(weight**2))
            """How many units of equal size have as much to tell: (sum w)^2 / sum w^2 (Kish 1965)."""

    @property
    def units_with(self) -> tuple[int, int]:
        """How many units have clicks, and how many non-clicks; of a large set, no more than there are buckets."""
        clicked, passed = np.count_nonzero(self._drawn.sums[:, :2] > 0, axis=0)
        return int(clicked), int(passed)

    def interval(
        self, metric: Metric, level: float = 0.95, value: float | None = None, contrast: Sequence[float] = (1.0,)
    ) -> MetricInterval | None:
        """The interval of a metric of the first model, or of a contrast of the models' metrics.

        Student's t with the bootstrap's standard error, on the scale of the metric in `SCALES`. None where no metric is
        defined on the rows or on half of the repeats, or there is but one unit.

        Args:
            metric: Which.
            level: Of confidence, between 0 and 1.
            value: The metric of the rows, where it is known more exactly.
            contrast: A factor for each model, (1, -1) for the first against the second; 0 for those left out.
        """
        values = self.values(metric)
        drawn = sum((part * model for part, model in zip(contrast, values, strict=False)), np.zeros(values.shape[1]))
        value = float(drawn[0]) if value is None else value
        repeats = drawn[1:][np.isfinite(drawn[1:])]
        if not np.isfinite(value) or 2 * repeats.size < drawn.size - 1 or repeats.size < 2 or self.units <= 1:
            return None
        scale = SCALES[metric] if np.count_nonzero(contrast) == 1 else PLAIN
        with np.errstate(all="ignore"):
            scaled = scale.there(np.append(repeats, value))
        if not np.isfinite(scaled).all():  # an AUC of 1 or a loss of 0 has no place on the scale
            scale, scaled = PLAIN, np.append(repeats, value)
        error = float(scaled[:-1].std(ddof=1)) * np.sqrt(self.units / (self.units - 1))
        freedom = 1 / (1 / (self.units - 1) + 1 / (repeats.size - 1))
        return MetricInterval(value, *student_bounds(value, error, level, freedom, scale))

    def values(self, metric: Metric) -> Floats:
        """Of each model, as they are and in every repeat (M, 1 + R)."""
        if metric == "auc":
            return self._auc
        positive, weight = self._sums[:, 0], self._sums[:, 0] + self._sums[:, 1]
        predicted, loss, error = (self._sums[:, 2 + number :: 3].T for number in range(3))
        with np.errstate(divide="ignore", invalid="ignore"):
            match metric:
                case "log_loss":
                    return loss / weight
                case "normalized_entropy":
                    return loss / weight / _entropies(positive / weight)
                case "pcoc":
                    return predicted / positive
                case "brier":
                    return error / weight
                case "rmse":
                    root: Floats = np.sqrt(error / weight)
                    return root
        raise InputError(f"bootstrap: expected one of {', '.join(SCALES)}, received {metric!r}")

    @cached_property
    def _sums(self) -> Floats:
        """Those of `_Rows.sums` (1 + R, 2 + 3 M); not by BLAS, which rounds differently with more threads."""
        return np.concatenate([np.einsum("ru,uk->rk", weight, self._drawn.sums) for weight in self._weights()])

    @cached_property
    def _auc(self) -> Floats:
        """Of each model (M, 1 + R)."""
        return np.concatenate([self._drawn.auc(weight) for weight in self._weights()], axis=1)

    def _weights(self) -> Iterator[Floats]:
        """Once each unit as it is, then all repeats, some at a time (R, U)."""
        units = self._drawn.identity
        yield np.ones((1, units.size))
        at_once = max(1, _AT_ONCE // self._drawn.width)
        for first in range(0, self._repeats, at_once):
            some = range(first, min(first + at_once, self._repeats))
            yield poisson_weights(units, some, self._seed).astype(np.float64)


def _entropies(rate: Floats) -> Floats:
    base: Floats = -rate * np.log(rate) - (1 - rate) * np.log1p(-rate)
    return base


@dataclass(frozen=True, eq=False)
class Resampling:
    """Rows of known label and the logits that one or several models give them, ready to be drawn from."""

    rows: tuple[_Rows, ...] = ()
    buckets: _Buckets | None = None

    def update(
        self, unit: Identities, label: ArrayLike, *logits: ArrayLike, weight: ArrayLike | None = None
    ) -> "Resampling":
        """Add rows.

        Args:
            unit: What each row is drawn by (B,): the identity of the row, or that of its cluster.
            label: 0 or 1 (B,).
            logits: Of each model's probability (B,), the same number of models each time.
            weight: >= 0 (B,) or none.

        Raises:
            InputError: for other values, NaN, or lengths that differ.
        """
        positive, negative = class_weights(label, weight)
        if unit.shape != positive.shape or not logits:
            raise InputError(
                f"resampling: expected a unit for each of {positive.size} rows and a model or more, received "
                f"{unit.shape} units and {len(logits)} models"
            )
        logit = np.stack([logit_array(each, positive.size) for each in logits])
        return self + Resampling((_Rows(unit, positive, negative, logit),) if positive.size else ())

    def __add__(self, other: "Resampling") -> "Resampling":
        rows = self.rows + other.rows
        buckets = self.buckets or other.buckets
        if self.buckets is not None and other.buckets is not None:
            buckets = self.buckets + other.buckets
        waiting = Resampling(rows, buckets)
        return waiting if waiting._waiting <= WAITING_ROWS else Resampling(buckets=waiting._in_buckets())

    @property
    def _waiting(self) -> int:
        return sum(each.unit.size for each in self.rows)

    def _in_buckets(self) -> _Buckets:
        found = [] if self.buckets is None else [self.buckets]
        if self.rows:
            found.append(_Buckets.of(_together(self.rows)))
        return found[0] if len(found) == 1 else found[0] + found[1]

    def draws(self, repeats: int, seed: int) -> Draws | None:
        """Draw so many times; None without rows.

        Raises:
            InputError: for less than two repeats.
        """
        if repeats < 2:
            raise InputError(f"bootstrap: expected repeats >= 2, received {repeats}")
        if self.buckets is None and self._waiting <= EXACT_ROWS:
            return Draws(_Units(_together(self.rows)), repeats, seed) if self.rows else None
        return Draws(self._in_buckets(), repeats, seed)
