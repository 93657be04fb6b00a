"""Confidence intervals from a standard error: Student's t on the scale on which a metric is about normal.

Percentiles of a bootstrap are too narrow on few rows (Hesterberg 2015, "What teachers should know about the bootstrap",
section 4): they use the normal distribution's width, and no factor for the mean that was estimated. Student's t on a
transformed scale held what it says in `python -m benchmarks.coverage`, and the percentiles did not; BCa (Efron 1987)
was no better than those in a trial.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.log_odds import log_odds, sigmoid

LARGE = 1e6
"""Degrees of freedom that are as good as any number."""


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


@dataclass(frozen=True)
class Scale:
    """A scale on which a metric is about normal: the way there, and back."""

    there: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]


PLAIN = Scale(lambda x: x, lambda x: x)
LOG = Scale(np.log, np.exp)
LOGIT = Scale(log_odds, sigmoid)


def student_bounds(
    value: float, error: float, level: float, freedom: float = inf, scale: Scale = PLAIN
) -> tuple[float, float]:
    """The bounds of a value whose standard error on the scale is given, with so many degrees of freedom."""
    from scipy.stats import t

    reach = float(t.ppf((1 + level) / 2, min(freedom, LARGE))) * error
    low, high = scale.back(scale.there(np.array([value, value])) + np.array([-reach, reach]))
    return float(low), float(high)
