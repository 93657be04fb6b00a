"""How far two samples of the same thing may differ by chance alone.

Every check compares n rows of today with m rows of before and must not cry wolf on a small day. So what it finds counts
only beyond what chance brings once in 1 / RARE comparisons.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

RARE = 1e-5
"""With forty fields and a year of days, a false alarm in seven years for each kind of check."""

LEAST = 10
"""Rows that a cell must be expected to have on the smaller side; below, chi-squared is no guide to its tail."""


def unlikely(count: int, total: int, share: float) -> bool:
    """Whether chance puts `count` of `total` things that have happened on a side so rarely.

    Each thing is on that side with probability `share`, that of the rows that lie there: the exact binomial test, two
    tails. Given the total, the number is hypergeometric, whose tails are lighter: the test is careful.
    """
    from scipy.stats import binom

    lower, upper = binom.cdf(count, total, share), binom.sf(count - 1, total, share)
    return bool(2 * min(lower, upper) < RARE)


class Distance(NamedTuple):
    """A Jensen-Shannon distance, in [0, 1], beyond the mean that chance gives, and how far it gets rarely by chance."""

    value: float
    chance: float


def distance(today: Counts, before: Counts, rows: tuple[int, int]) -> Distance:
    """The Jensen-Shannon distance of two samples over the same k cells.

    With the shares p and q of the cells and r = (p + q) / 2 it is the root of

        JSD = (sum p log2(p / r) + sum q log2(q / r)) / 2

    Without drift, 8 ln 2 JSD / (1/n + 1/m) is about chi-squared with k - 1 degrees of freedom: the second-order term
    of JSD is sum (p - q)^2 / (8 ln 2 r), and sum (p - q)^2 / r is Pearson's statistic for two samples times
    (1/n + 1/m). The mean of that is subtracted. Sources: Lin, "Divergence measures based on the Shannon entropy"
    (1991); for the distribution Grosse et al., "Analysis of symbolic sequences using the Jensen-Shannon divergence",
    Phys. Rev. E 65 (2002), 041905, and for the same of PSI Yurdakul and Naranjo, "Statistical properties of the
    population stability index" (2020).

    Args:
        today: Counts (k,), decided on by the sums of both sides, each with `LEAST` expected on the smaller side.
        before: Counts (k,).
        rows: n and m, where a row may count in several cells; the sums of the counts where it does not.
    """
    from scipy.stats import chi2

    p, q = today / today.sum(), before / before.sum()
    divergence = (_relative_entropy(p, (p + q) / 2) + _relative_entropy(q, (p + q) / 2)) / 2
    unit = sum(1 / number for number in rows) / (8 * np.log(2))
    mean, high = (len(today) - 1) * unit, chi2.isf(RARE, len(today) - 1) * unit if len(today) > 1 else 0.0
    return Distance(float(np.sqrt(max(0.0, divergence - mean))), float(np.sqrt(high - mean)))


def _relative_entropy(p: npt.NDArray[np.float64], r: npt.NDArray[np.float64]) -> float:
    there = p > 0
    return float((p[there] * np.log2(p[there] / r[there])).sum())


class NewValues(NamedTuple):
    """The share of today's values that before lacks, beyond what chance gives, and how large that rarely gets."""

    value: float
    chance: float


def new_values(new: int, today: int, pooled: Counts, number: Counts) -> NewValues:
    """How many more of today's values are new than rare values are on any day.

    A value that both sides have c times among N is new today, without drift, with probability

        (n choose c) / (N choose c)

    with n of the N today: all of its rows are of today. Given c, that is exact.

    Args:
        new: How many of today's values before lacks.
        today: n.
        pooled: The numbers c that there are (j,).
        number: How many values have each (j,).
    """
    from scipy.special import gammaln
    from scipy.stats import norm

    total = int((pooled * number).sum())
    fits = pooled <= today
    c, values = pooled[fits].astype(np.float64), number[fits]
    log_share = gammaln(today + 1) - gammaln(today - c + 1) - gammaln(total + 1) + gammaln(total - c + 1)
    share = np.minimum(1.0, np.exp(log_share))
    expected = (values * c * share).sum()
    deviation = np.sqrt((values * c * c * share * (1 - share)).sum())
    return NewValues(float(new - expected) / today, float(norm.isf(RARE) * deviation) / today)


def merged_cells(today: Counts, before: Counts, most: int = 100) -> tuple[Counts, Counts]:
    """Neighbouring cells put together until each has `LEAST` expected on the smaller side; at most so many.

    Where one ends is decided by the sums of both sides alone, so that no cell favours a side.
    """
    pooled = np.cumsum(today + before)
    total, smaller = int(pooled[-1]), min(int(today.sum()), int(before.sum()))
    least = max(LEAST * total / smaller, total / most)
    ends: list[int] = []
    reached = 0
    for position, sum_ in enumerate(pooled.tolist()):
        if sum_ - reached >= least and (total - sum_ >= least or sum_ == total):
            ends.append(position)
            reached = sum_
    starts = [0, *(end + 1 for end in ends[:-1])]
    return np.add.reduceat(today, starts), np.add.reduceat(before, starts)
