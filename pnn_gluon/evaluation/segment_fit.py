"""The lines of the segments, shrunk towards the whole by as much as the segments themselves speak for.

Of a row of segment s with the whole's calibrated logit u (m_s its mean over the segment):

    logit p = u + a_s + b_s (u - m_s),   a_s ~ N(0, tau^2),   b_s ~ N(0, omega^2)

b_s is 0 for segments with few clicks. Given tau and omega, a and b are where the log likelihood and the log density of
a and b are greatest together (a ridge penalty of 1 / tau^2 and 1 / omega^2); tau^2 is the mean over segments of a_s^2
plus its variance given the rows, and omega^2 likewise: an EM step. Both are repeated until they stand. So a segment
with few rows keeps to the whole, one with many to its own clicks, and where segments do not differ all keep to the
whole.
Source: Breslow and Clayton 1993, section 2 (penalized quasi-likelihood); Laird and Ware 1982 (the EM step).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnn_gluon.arrays import Floats, Ids
from pnn_gluon.evaluation.arrays import label_array, logit_array, weight_array
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.segments import RowSegments, Segments

MOST_SEGMENTS = 1000
"""Segments that are carried, those of most rows; all others keep to the whole."""

SLOPE_CLICKS = 100
"""Clicks, and non-clicks, of a segment from which on it gets a slope of its own."""

LEAST_SCALE = 0.1
"""Least slope of a segment's line: within a segment ranks are kept."""

MOST_DEVIATION = 2.0
"""Of shifts and slopes: where a segment's rows are certain, their likelihood would let both go on growing."""

PASSES = 50
EM_STEPS = 100
"""EM steps in a pass over the rows."""


class SegmentFit(NamedTuple):
    """The lines, and what they were shrunk by: the deviations tau of shifts and omega of slopes.

    `pooled` counts the segments beyond the bound, which keep to the whole.
    """

    segments: Segments
    shift_deviation: float
    slope_deviation: float
    pooled: int


@dataclass(frozen=True)
class _Rows:
    """Rows sorted by segment: `ids` (S,) and the first row of each, `of` the segment of each row (B,)."""

    logit: Floats  # (B,)
    label: Floats
    weight: Floats
    ids: Ids
    start: NDArray[np.intp]
    of: NDArray[np.intp]

    def sums(self, value: Floats) -> Floats:
        """The weighted sum of a value of each row (B,) over each segment (S,)."""
        total: Floats = np.add.reduceat(self.weight * value, self.start)
        return total


def fit_segments(
    segment: RowSegments,
    whole_logit: ArrayLike,
    label: ArrayLike,
    weight: ArrayLike | None = None,
    most: int = MOST_SEGMENTS,
) -> SegmentFit:
    """The lines of the segments; equal rows give equal bytes in whatever order they come.

    Args:
        segment: Of each row.
        whole_logit: As the whole's calibrator has it (B,).
        label: 0 or 1 (B,).
        weight: Of each row (B,): as if it were there so many times.
        most: Segments that are carried, those of most rows, at equal rows those of lower ids.
    """
    y = label_array(label)
    rows, pooled = _grouped(segment, logit_array(whole_logit, y.size), y, weight_array(weight, y.size), most)
    if not rows.ids.size:
        return SegmentFit(Segments(segment.field, (), (), ()), 0.0, 0.0, pooled)
    total, clicks = rows.sums(np.ones_like(rows.label)), rows.sums(rows.label)
    mean = rows.sums(rows.logit) / total
    sloped = np.minimum(clicks, total - clicks) >= SLOPE_CLICKS
    (shift, slope), variance = _penalized(rows, rows.logit - mean[rows.of], sloped)
    lines = (tuple(each.tolist()) for each in (rows.ids, 1 + slope, shift - slope * mean))
    tau, omega = np.sqrt(variance).tolist()
    return SegmentFit(Segments(segment.field, *lines), tau, omega if sloped.any() else 0.0, pooled)


def _grouped(segment: RowSegments, logit: Floats, label: Floats, weight: Floats, most: int) -> tuple[_Rows, int]:
    """The rows of the segments that are carried, and how many segments are not."""
    order = np.lexsort((weight, label, logit, segment.ids))
    order = order[(weight[order] > 0) & (segment.ids[order] != segment.other)]
    every, of = np.unique(segment.ids[order], return_inverse=True)
    rows = np.bincount(of, weight[order], minlength=every.size)
    order = order[np.isin(of, np.lexsort((every, -rows))[:most])]
    ids, start, of = np.unique(segment.ids[order], return_index=True, return_inverse=True)
    return _Rows(logit[order] + 0.0, label[order], weight[order], ids, start, of), max(every.size - most, 0)


def _penalized(rows: _Rows, beside: Floats, sloped: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Shifts and slopes (2, S) beside the whole's, and the variances tau^2 and omega^2 (2,) that they were shrunk by.

    Args:
        rows: What is fitted to.
        beside: The logit of each row less the mean of its segment (B,).
        sloped: Which segments have a slope (S,).
    """
    theta, variance = np.zeros((2, sloped.size)), np.full(2, 0.1)
    for _ in range(PASSES):
        p = sigmoid(rows.logit + theta[0][rows.of] + theta[1][rows.of] * beside)
        error, curve = rows.label - p, p * (1 - p)
        of_shift, across, of_slope = rows.sums(curve), rows.sums(curve * beside), rows.sums(curve * beside**2)
        hessian = np.stack([of_shift, across * sloped, of_slope * sloped])  # (3, S)
        gradient = np.stack([rows.sums(error), rows.sums(error * beside) * sloped])
        found, variance = _shrunk(theta, gradient, hessian, variance, sloped)
        found = theta + np.clip(found - theta, -1, 1)
        found[1] = np.maximum(found[1], LEAST_SCALE - 1)
        moved, theta = np.abs(found - theta).max(), found
        if moved <= 1e-6:
            break
    return theta, variance


def _shrunk(
    theta: Floats, gradient: Floats, hessian: Floats, variance: Floats, sloped: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Shifts and slopes of the quadratic log likelihood at theta, and the variances, after EM steps."""
    of_shift, across, of_slope = hessian
    pull_shift = of_shift * theta[0] + across * theta[1] + gradient[0]
    pull_slope = across * theta[0] + of_slope * theta[1] + gradient[1]
    for _ in range(EM_STEPS):
        of_shift_too, of_slope_too = of_shift + 1 / variance[0], of_slope + 1 / variance[1]
        determinant = of_shift_too * of_slope_too - across**2
        shift = (of_slope_too * pull_shift - across * pull_slope) / determinant
        slope = (of_shift_too * pull_slope - across * pull_shift) / determinant
        of_shifts = np.mean(shift**2 + of_slope_too / determinant)
        of_slopes = (slope**2 + of_shift_too / determinant)[sloped].mean() if sloped.any() else variance[1]
        variance = np.minimum([of_shifts, of_slopes], MOST_DEVIATION**2)
    return np.stack([shift, slope]), variance
