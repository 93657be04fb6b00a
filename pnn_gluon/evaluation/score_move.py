"""How far the scores of one model lie from another's on the same rows, and whether a person is asked for it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.gate import GateDecision, Scores

SMALLEST = 1e-9
"""A champion's probability below this counts as this: a move from nothing is a large one, and a number."""
TOP = 0.1
"""The share of rows that count as the top of a ranking."""

When: TypeAlias = Literal["never", "always", "when_scores_move"]


@dataclass(frozen=True)
class ScoreMove:
    """How far bids move that follow the probability, and how far the order of the rows changes.

    Attributes:
        mean: Of |new / old - 1| over rows.
        p99: The smallest such move that 99 % of the rows do not exceed.
        rank_correlation: Spearman's, ties by their mean rank; None where all scores of a model are equal.
        overlap: Of the rows in the top tenth by the old scores, the share that is in the top tenth by the new ones.
    """

    mean: float
    p99: float
    rank_correlation: float | None
    overlap: float


@dataclass(frozen=True)
class MoveLimits:
    """The most that scores may move, and the least that their order must stay, before a person is asked."""

    mean: float
    p99: float
    rank_correlation: float
    overlap: float

    def exceeded(self, move: ScoreMove) -> bool:
        """Whether one of them does not hold; an undefined correlation holds no limit."""
        correlation = -np.inf if move.rank_correlation is None else move.rank_correlation
        moved = move.mean > self.mean or move.p99 > self.p99
        return moved or correlation < self.rank_correlation or move.overlap < self.overlap


def score_move(new: Floats, old: Floats, weight: Floats | None = None) -> ScoreMove:
    """How far probabilities move, (B,) each; rows with a weight (B,) count as so many equal ones.

    >>> import numpy as np
    >>> move = score_move(np.array([0.4, 0.1]), np.array([0.2, 0.1]))
    >>> move.mean, move.p99, move.overlap
    (0.5, 1.0, 1.0)
    """
    after, before = (np.asarray(each, dtype=np.float64) for each in (new, old))
    floor = np.maximum(before, SMALLEST)
    moves = np.abs(after - floor) / floor
    if weight is not None:
        return _weighted_move(moves, after, before, np.asarray(weight, dtype=np.float64))
    p99 = float(np.quantile(moves, 0.99, method="inverted_cdf"))
    return ScoreMove(float(moves.mean()), p99, _rank_correlation(after, before), _overlap(after, before))


def _rank_correlation(new: Floats, old: Floats) -> float | None:
    from scipy.stats import spearmanr

    if np.ptp(new) == 0 or np.ptp(old) == 0:
        return None
    return float(spearmanr(new, old).statistic)


def _overlap(new: Floats, old: Floats) -> float:
    """Of equal scores those of earlier rows count as higher, in both rankings."""
    count = int(np.ceil(TOP * len(old)))
    first, second = (np.argsort(-each, kind="stable")[:count] for each in (new, old))
    return float(np.isin(first, second, assume_unique=True).mean())


def _weighted_move(moves: Floats, new: Floats, old: Floats, weight: Floats) -> ScoreMove:
    total, order = weight.sum(), np.argsort(moves, kind="stable")
    p99 = moves[order][np.searchsorted(np.cumsum(weight[order]), 0.99 * total)]
    correlation = None
    if np.ptp(new) and np.ptp(old):
        ranks = [_middle_ranks(each, weight) for each in (new, old)]
        one, other = (rank - np.average(rank, weights=weight) for rank in ranks)
        spread = np.sqrt((weight * one**2).sum() * (weight * other**2).sum())
        correlation = float((weight * one * other).sum() / spread)
    top = np.ceil(TOP * total)
    shared = np.minimum(_in_top(new, weight, top), _in_top(old, weight, top)).sum()
    return ScoreMove(float(np.average(moves, weights=weight)), float(p99), correlation, float(shared / top))


def _middle_ranks(values: Floats, weight: Floats) -> Floats:
    """The mean rank of each value (B,) among all, each as often as its weight (B,)."""
    _, where = np.unique(values, return_inverse=True)
    each = np.bincount(where, weight)
    ranks: Floats = (np.cumsum(each) - each + (each + 1) / 2)[where]
    return ranks


def _in_top(values: Floats, weight: Floats, top: float) -> Floats:
    """How many of the impressions of each row (B,) are among so many of the highest score; earlier rows first."""
    order = np.argsort(-values, kind="stable")
    before = np.cumsum(weight[order]) - weight[order]
    found = np.empty_like(weight)
    found[order] = np.clip(top - before, 0, weight[order])
    return found


def move_of(
    decision: GateDecision, candidate: Scores, champion: Scores | None, weight: Floats | None = None
) -> ScoreMove | None:
    """How far the candidate's probabilities lie from the champion's; None where these two cannot be compared."""
    if champion is None or decision.measures["baseline"] != "champion":
        return None
    return score_move(candidate.probability, champion.probability, weight)


@dataclass(frozen=True)
class Asking:
    """Whether a person is asked about an accepted candidate, and why or why not in words."""

    asks: bool
    why: str


def asking(when: When, limits: MoveLimits, decision: GateDecision, move: ScoreMove | None) -> Asking | None:
    """Whether a person is asked; None where nobody ever is, or the gate refused.

    Args:
        when: When to ask.
        limits: What `when_scores_move` asks beyond.
        decision: The gate's.
        move: See `move_of`.
    """
    if when == "never" or not decision.accepted:
        return None
    always = when == "always"
    if move is not None:
        return Asking(always or limits.exceeded(move), _words(move, None if always else limits))
    if decision.measures["baseline"] == "none":
        return Asking(always, "no model is in force whose scores could move")
    return Asking(True, "there is no comparison with the model in force, whose scores are unusable")


def _words(move: ScoreMove, limits: MoveLimits | None) -> str:
    """The numbers in a sentence, each with its limit where there are limits."""
    mean, p99, correlation, overlap = ("",) * 4
    if limits is not None:
        mean, p99 = (f" (limit {100 * each:g} %)" for each in (limits.mean, limits.p99))
        correlation, overlap = f" (limit {limits.rank_correlation:g})", f" (limit {100 * limits.overlap:g} %)"
    ranks = "undefined" if move.rank_correlation is None else f"{move.rank_correlation:.3g}"
    return (
        f"scores move by {100 * move.mean:.3g} %{mean} in the mean "
        f"and by {100 * move.p99:.3g} %{p99} at the 99th percentile, rank correlation {ranks}{correlation}, "
        f"{100 * move.overlap:.3g} %{overlap} of the top tenth stay there"
    )
