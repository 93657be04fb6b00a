"""The standard error of AUC without resampling, where rows are independent: DeLong, DeLong and Clarke-Pearson (1988).

A positive's placement is the share of the negatives that it scores above, ties half; a negative's, the share of the
positives that score above it. AUC is the mean of either, and its variance the sum of their variances over the numbers
of positives and negatives. Placements come from ranks, in O(n log n): Sun and Xu (2014), "Fast implementation of
DeLong's algorithm".
"""

from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import class_weights, score_array
from pnn_gluon.evaluation.auc import Auc, ScoreRun
from pnn_gluon.evaluation.interval import LOGIT, PLAIN, Interval, MetricInterval, student_bounds


def delong_error(auc: Auc) -> float:
    """The standard error of an AUC; NaN with fewer than two rows of a class. Weights count as repeated rows."""
    whole = auc.whole
    if whole is None or min(whole.positive.sum(), whole.negative.sum()) <= 1:
        return nan
    above, below = _placements(whole)
    return sqrt(_variance(whole.positive, above) + _variance(whole.negative, below))


def delong_interval(auc: Auc, level: float = 0.95) -> MetricInterval | None:
    """The interval of an AUC, symmetric on the logit scale; None where the data tell of no spread.

    That is so with fewer than two rows of a class, and when every click scores above every non-click, or below.
    """
    value, error = auc.value(), delong_error(auc)
    if not error > 0 or not 0 < value < 1:
        return None
    return MetricInterval(value, *student_bounds(value, error / (value * (1 - value)), level, scale=LOGIT))


def paired_delong(
    label: ArrayLike, first: ArrayLike, second: ArrayLike, level: float = 0.95, weight: ArrayLike | None = None
) -> Interval:
    """AUC(first) - AUC(second) on the same independent rows: label (B,), two scores (B,), weight (B,) or none.

    Raises:
        InputError: for arrays that no AUC is defined on, or with one row of a class only.
    """
    positive, negative = class_weights(label, weight)
    if min(positive.sum(), negative.sum()) <= 1:
        raise InputError(
            f"delong: expected two rows or more of both classes, received {positive.sum():g} clicks and "
            f"{negative.sum():g} non-clicks; take more rows"
        )
    above, below = np.zeros(positive.size), np.zeros(positive.size)
    for sign, scores in ((1, first), (-1, second)):
        score = score_array(scores, positive.size)
        run = ScoreRun.of(score, positive, negative)
        where = np.searchsorted(run.score, score)
        placed = _placements(run)
        above, below = above + sign * placed[0][where], below + sign * placed[1][where]
    difference = float(np.sum(positive * above) / positive.sum())
    error = sqrt(_variance(positive, above) + _variance(negative, below))
    return Interval(difference, *student_bounds(difference, error, level, scale=PLAIN))


def _placements(run: ScoreRun) -> tuple[Floats, Floats]:
    """Of each distinct score (D,): as a positive's, and as a negative's."""
    below = np.cumsum(run.negative) - run.negative / 2
    above = run.positive.sum() - np.cumsum(run.positive) + run.positive / 2
    return below / run.negative.sum(), above / run.positive.sum()


def _variance(weight: Floats, values: Floats) -> float:
    """Of the mean of values that came `weight` times each."""
    total = float(weight.sum())
    mean = float(np.sum(weight * values)) / total
    return float(np.sum(weight * (values - mean) ** 2)) / (total - 1) / total
