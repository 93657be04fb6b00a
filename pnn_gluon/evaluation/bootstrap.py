"""Bootstrap intervals of a metric, and of the difference of a metric between two models on the same rows.

Both models of a pair see the same draws, which cancels what is hard or easy about the rows themselves. Units are drawn
Poisson(1) times each (`pnn_gluon.evaluation.resampling`): rows, or all rows of a cluster together. The same rows in the
same order, the same seed: the same interval.
"""

from collections.abc import Sequence
from math import fsum

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import label_array, logit_array, probability_array, score_array
from pnn_gluon.evaluation.auc import Auc
from pnn_gluon.evaluation.identity import Identities
from pnn_gluon.evaluation.interval import Interval, MetricInterval
from pnn_gluon.evaluation.log_loss import row_log_loss
from pnn_gluon.evaluation.log_odds import log_odds
from pnn_gluon.evaluation.resampling import SCALES, Metric, Resampling

__all__ = ["Interval", "Metric", "MetricInterval", "bootstrap", "paired_bootstrap", "paired_bootstrap_of_runs"]

CERTAIN = 800.0
"""A logit whose probability is 1 and whose loss is 0, to the last bit of float64."""


def paired_bootstrap(
    label: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    metric: Metric,
    repeats: int,
    seed: int,
    level: float = 0.95,
    logits: bool = False,
    clusters: Identities | None = None,
    weight: ArrayLike | None = None,
) -> Interval:
    """metric(first) - metric(second) on the same rows, with its interval.

    label (B,) is 0 or 1; first and second (B,) are any scores for auc; for the others probabilities or, with `logits`,
    the logits of these, whose loss is never infinite. Rows are drawn each by itself, or with all of their cluster (B,),
    and count by their weight >= 0 (B,), if they have one.
    Repeats in which the metric is undefined, for want of a class, are left out.

    Raises:
        InputError: for arrays the metric is undefined or infinite on, or for which most repeats are, or that are of
            one cluster; for an unknown metric, less than two repeats, or a level outside (0, 1).
    """
    return paired_bootstrap_of_runs(label, [first], [second], metric, repeats, seed, level, logits, clusters, weight)


def paired_bootstrap_of_runs(
    label: ArrayLike,
    first: Sequence[ArrayLike],
    second: Sequence[ArrayLike],
    metric: Metric,
    repeats: int,
    seed: int,
    level: float = 0.95,
    logits: bool = False,
    clusters: Identities | None = None,
    weight: ArrayLike | None = None,
) -> Interval:
    """The mean over runs of metric(first) - metric(second): every run of both models sees the same draws.

    Arguments and errors are those of `paired_bootstrap`, with one array for each run.
    """
    if len(first) != len(second):
        raise InputError(f"bootstrap: expected as many runs of both models, received {len(first)} and {len(second)}")
    scores = [each for pair in zip(first, second, strict=True) for each in pair]
    contrast = [1 / len(first), -1 / len(first)] * len(first)
    found = _interval(label, scores, contrast, metric, repeats, seed, level, logits, clusters, weight)
    return Interval(found.value, found.low, found.high)


def bootstrap(
    label: ArrayLike,
    scores: ArrayLike,
    metric: Metric,
    repeats: int,
    seed: int,
    level: float = 0.95,
    clusters: Identities | None = None,
    weight: ArrayLike | None = None,
) -> MetricInterval:
    """The metric of one model with its interval; arguments and errors are those of `paired_bootstrap`."""
    return _interval(label, [scores], [1.0], metric, repeats, seed, level, False, clusters, weight)


def _interval(
    label: ArrayLike,
    scores: Sequence[ArrayLike],
    contrast: Sequence[float],
    metric: Metric,
    repeats: int,
    seed: int,
    level: float,
    logits: bool,
    clusters: Identities | None,
    weight: ArrayLike | None,
) -> MetricInterval:
    if metric not in SCALES or not 0 < level < 1:
        raise InputError(
            f"bootstrap: expected one of {', '.join(SCALES)} and 0 < level < 1, received {metric!r}, {level}"
        )
    y = label_array(label)
    units = np.arange(y.size, dtype=np.uint64) if clusters is None else clusters
    ranked = (_ranked(metric, y, each, logits) for each in scores)
    drawn = Resampling().update(units, y, *ranked, weight=weight).draws(repeats, seed)
    value = None
    if metric == "auc":
        value = fsum(part * Auc().update(y, each, weight).value() for part, each in zip(contrast, scores, strict=True))
    found = None if drawn is None else drawn.interval(metric, level, value, contrast)
    if found is None:
        raise InputError(
            f"bootstrap of {metric}: undefined on {y.size} rows with {int(y.sum())} positives, on half of {repeats} "
            f"repeats, or for want of a second cluster; take rows with more of both classes"
        )
    return found


def _ranked(metric: Metric, label: Floats, scores: ArrayLike, logits: bool) -> Floats:
    """The logits of probabilities; for auc the logits of the ranks, which are finite and spread over all score bins."""
    if metric == "auc":
        _, rank = np.unique(score_array(scores, label.size), return_inverse=True)
        share = (rank + 0.5) / (rank.max(initial=0) + 1)
        return log_odds(share)
    if logits:
        return logit_array(scores, label.size)
    p = probability_array(scores, label.size)
    certain = int(np.isinf(row_log_loss(label, p)).sum())
    if certain:
        raise InputError(
            f"bootstrap: {certain} of {label.size} probabilities are exactly 0 or 1 against the label, so the log "
            "loss is infinite; calibrate with method isotonic or platt"
        )
    with np.errstate(divide="ignore"):
        return np.clip(log_odds(p), -CERTAIN, CERTAIN)
