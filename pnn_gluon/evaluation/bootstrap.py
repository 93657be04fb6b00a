"""Bootstrap intervals of a metric, and of the difference of a metric between two models on the same rows.

Each repeat draws as many rows as there are, with replacement, and counts how often each came: resampling is
reweighting, so ranks are found once and a repeat is a few vector operations. Both models of a pair see the same
draw, which cancels what is hard or easy about the rows themselves. Percentile intervals (Efron 1979). The same
rows in the same order, the same seed: the same interval.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import label_array, logit_array, probability_array, score_array
from pnn_gluon.evaluation.metrics import entropy, row_log_loss, row_logit_loss

Metric = Literal["auc", "log_loss", "normalized_entropy"]
Weighted = Callable[[Floats], float]
"""A metric of fixed rows as a function of their weights (B,); NaN where it is undefined."""


@dataclass(frozen=True)
class Interval:
    """A difference on the rows as they are, and the bounds of its confidence interval."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class MetricInterval:
    """A metric on the rows as they are, and the bounds of its confidence interval."""

    value: float
    low: float
    high: float


def paired_bootstrap(
    label: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    metric: Metric,
    repeats: int,
    seed: int,
    level: float = 0.95,
    logits: bool = False,
) -> Interval:
    """metric(first) - metric(second) on the same rows, with its interval.

    label (B,) is 0 or 1; first and second (B,) are any scores for auc; for the others probabilities or, with `logits`,
    the logits of these, whose loss is never infinite. Repeats in which the metric is undefined, for want of a class,
    are left out.

    Raises:
        InputError: for arrays the metric is undefined or infinite on, or for which most repeats are; for an unknown
            metric, less than one repeat, or a level outside (0, 1).
    """
    return paired_bootstrap_of_runs(label, [first], [second], metric, repeats, seed, level, logits)


def paired_bootstrap_of_runs(
    label: ArrayLike,
    first: Sequence[ArrayLike],
    second: Sequence[ArrayLike],
    metric: Metric,
    repeats: int,
    seed: int,
    level: float = 0.95,
    logits: bool = False,
) -> Interval:
    """The mean over runs of metric(first) - metric(second): every run of both models sees the same draws of rows.

    Arguments and errors are those of `paired_bootstrap`, with one array for each run.
    """
    y = label_array(label)
    pairs = [
        (_weighted_metric(metric, y, one, logits), _weighted_metric(metric, y, two, logits))
        for one, two in zip(first, second, strict=True)
    ]

    def difference(weight: Floats) -> float:
        return math.fsum(one(weight) - two(weight) for one, two in pairs) / len(pairs)

    return Interval(*_interval(difference, y, metric, repeats, seed, level))


def bootstrap(
    label: ArrayLike, scores: ArrayLike, metric: Metric, repeats: int, seed: int, level: float = 0.95
) -> MetricInterval:
    """The metric of one model with its interval; arguments and errors are those of `paired_bootstrap`."""
    y = label_array(label)
    return MetricInterval(*_interval(_weighted_metric(metric, y, scores), y, metric, repeats, seed, level))


def _interval(
    statistic: Weighted, label: Floats, metric: str, repeats: int, seed: int, level: float
) -> tuple[float, float, float]:
    if repeats < 1 or not 0 < level < 1:
        raise InputError(f"bootstrap: expected repeats >= 1 and 0 < level < 1, received {repeats} and {level}")
    value = statistic(np.ones(label.size))
    drawn = np.array([statistic(weight) for weight in _draws(label.size, repeats, seed)])
    defined = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or 2 * defined.size < repeats:
        raise InputError(
            f"bootstrap of {metric}: {value} on {label.size} rows with {int(label.sum())} positives, defined in "
            f"{defined.size} of {repeats} repeats; take rows with more of both classes"
        )
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return value, float(low), float(high)


def _draws(rows: int, repeats: int, seed: int) -> Iterator[Floats]:
    generator = np.random.default_rng(seed)
    for _ in range(repeats if rows else 0):
        yield np.bincount(generator.integers(rows, size=rows), minlength=rows).astype(np.float64)


def _weighted_metric(metric: Metric, label: Floats, scores: ArrayLike, logits: bool = False) -> Weighted:
    match metric:
        case "auc":
            return _weighted_auc(label, score_array(scores, label.size))
        case "log_loss":
            return _weighted_log_loss(label, _finite_loss(label, scores, logits))
        case "normalized_entropy":
            return _weighted_normalized_entropy(label, _finite_loss(label, scores, logits))
    raise InputError(f"bootstrap: expected metric auc, log_loss or normalized_entropy, received {metric!r}")


def _finite_loss(label: Floats, scores: ArrayLike, logits: bool) -> Floats:
    if logits:
        return row_logit_loss(label, logit_array(scores, label.size))
    loss = row_log_loss(label, probability_array(scores, label.size))
    certain = int(np.isinf(loss).sum())
    if certain:
        raise InputError(
            f"bootstrap: {certain} of {label.size} probabilities are exactly 0 or 1 against the label, so the log "
            "loss is infinite; calibrate with method isotonic or platt"
        )
    return loss


def _weighted_auc(label: Floats, score: Floats) -> Weighted:
    order = np.argsort(score, kind="stable")
    ranked, positive = score[order], label[order] == 1
    start = np.searchsorted(ranked, ranked[positive], side="left")
    stop = np.searchsorted(ranked, ranked[positive], side="right")
    clicks, others = order[positive], np.where(positive, 0.0, 1.0)

    def auc(weight: Floats) -> float:
        below = np.concatenate(([0.0], np.cumsum(weight[order] * others)))  # (B + 1,)
        gained = weight[clicks]
        pairs = gained.sum() * below[-1]
        return float(np.sum(gained * (below[start] + below[stop])) / (2 * pairs)) if pairs else np.nan

    return auc


def _weighted_log_loss(label: Floats, loss: Floats) -> Weighted:
    return lambda weight: float(np.sum(weight * loss)) / label.size if label.size else np.nan


def _weighted_normalized_entropy(label: Floats, loss: Floats) -> Weighted:
    mean = _weighted_log_loss(label, loss)

    def normalized(weight: Floats) -> float:
        base = entropy(float(np.sum(weight * label)) / label.size) if label.size else 0.0
        return mean(weight) / base if base else np.nan

    return normalized
