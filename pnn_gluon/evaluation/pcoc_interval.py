"""The interval of PCOC, predicted over observed clicks, that the chance of clicks leaves open."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import class_weights, probability_array


@dataclass(frozen=True)
class PcocInterval:
    """PCOC on the rows as they are (None without clicks), and the bounds of its confidence interval.

    high is None where there is no upper bound: without clicks.
    """

    value: float | None
    low: float
    high: float | None


def pcoc_interval(
    label: ArrayLike, probability: ArrayLike, level: float = 0.95, weight: ArrayLike | None = None
) -> PcocInterval:
    """The mean probability over Clopper and Pearson's (1934) interval of the click rate.

    Rows click each with a chance of its own, so the number of clicks varies less than the binomial one of their mean:
    the interval holds the true ratio at least as often as it says, for any number of clicks.

    Args:
        label: 0 or 1 (B,).
        probability: In [0, 1] (B,).
        level: Of confidence, between 0 and 1.
        weight: How many impressions each row stands for (B,), whole numbers >= 0, or none.

    Raises:
        InputError: no rows, labels other than 0 and 1, probabilities outside [0, 1], or a level outside (0, 1).
    """
    from scipy.stats import beta

    positive, negative = class_weights(label, weight)
    total = positive + negative
    predicted = float((total * probability_array(probability, total.size)).sum())
    clicks, rows = round(float(positive.sum())), round(float(total.sum()))
    if not rows or not 0 < level < 1:
        raise InputError(f"pcoc interval: expected rows and 0 < level < 1, received {rows} rows and level {level}")
    tail = (1 - level) / 2
    most = float(beta.ppf(1 - tail, clicks + 1, rows - clicks)) if clicks < rows else 1.0
    least = float(beta.ppf(tail, clicks, rows - clicks + 1)) if clicks else 0.0
    mean = predicted / rows
    return PcocInterval(predicted / clicks if clicks else None, mean / most, mean / least if least else None)
