"""How far the probabilities of one model lie from another's on the same rows, and whether a person is asked for it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.gate import GateDecision, Scores

SMALLEST = 1e-9
"""A champion's probability below this counts as this: a move from nothing is a large one, and a number."""

When: TypeAlias = Literal["never", "always", "when_scores_move"]


@dataclass(frozen=True)
class ScoreMove:
    """The mean and the 99th percentile of |new / old - 1| over rows: how far bids move that follow the probability."""

    mean: float
    p99: float


def score_move(new: Floats, old: Floats) -> ScoreMove:
    """How far probabilities move, (B,) each; the percentile is the smallest move that 99 % of the rows do not exceed.

    >>> import numpy as np
    >>> score_move(np.array([0.2, 0.1]), np.array([0.1, 0.1]))
    ScoreMove(mean=0.5, p99=1.0)
    """
    before = np.maximum(np.asarray(old, dtype=np.float64), SMALLEST)
    moves = np.abs(np.asarray(new, dtype=np.float64) - before) / before
    return ScoreMove(float(moves.mean()), float(np.quantile(moves, 0.99, method="inverted_cdf")))


@dataclass(frozen=True)
class Asking:
    """Whether a person is asked about an accepted candidate, why or why not in words, and the move if there is one."""

    asks: bool
    why: str
    move: ScoreMove | None = None


def asking(
    when: When, limits: ScoreMove, decision: GateDecision, candidate: Scores, champion: Scores | None
) -> Asking | None:
    """Whether a person is asked; None where nobody ever is, or the gate refused.

    Args:
        when: When to ask.
        limits: The most that scores may move before `when_scores_move` asks.
        decision: The gate's.
        candidate: Its scores.
        champion: The scores of the model in force on the same rows; None when there is none.
    """
    if when == "never" or not decision.accepted:
        return None
    always = when == "always"
    if champion is None:
        return Asking(always, "no model is in force whose scores could move")
    if decision.measures["baseline"] != "champion":
        return Asking(True, "there is no comparison with the model in force, whose scores are unusable")
    move = score_move(candidate.probability, champion.probability)
    moved = move.mean > limits.mean or move.p99 > limits.p99
    return Asking(always or moved, _words(move, None if always else limits), move)


def _words(move: ScoreMove, limits: ScoreMove | None) -> str:
    mean, p99 = ("", "") if limits is None else (f" (limit {100 * each:g} %)" for each in (limits.mean, limits.p99))
    return (
        f"scores move by {100 * move.mean:.3g} %{mean} in the mean "
        f"and by {100 * move.p99:.3g} %{p99} at the 99th percentile"
    )
