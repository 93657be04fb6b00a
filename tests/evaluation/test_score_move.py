"""How far scores move, against the definition, and whom that is asked of."""

from dataclasses import replace

import numpy as np
import pytest

from pnn_gluon.evaluation.gate import GateDecision, Scores
from pnn_gluon.evaluation.score_move import SMALLEST, ScoreMove, asking, score_move

LIMITS = ScoreMove(mean=0.1, p99=0.5)
ACCEPTED = GateDecision(True, (), {"baseline": "champion"})


def scores(probability: np.ndarray) -> Scores:
    return Scores(np.log(probability / (1 - probability)), probability)


def test_a_move_is_the_definition_row_by_row() -> None:
    draw = np.random.default_rng(3)
    old, new = draw.uniform(0.01, 0.9, 1001), draw.uniform(0.01, 0.9, 1001)
    moves = sorted(abs(n / o - 1) for n, o in zip(new.tolist(), old.tolist(), strict=True))
    found = score_move(new, old)
    assert found.mean == pytest.approx(sum(moves) / 1001)
    at_most = [sum(other <= move for other in moves) / 1001 for move in moves]
    assert found.p99 == pytest.approx(next(move for move, share in zip(moves, at_most, strict=True) if share >= 0.99))


def test_a_move_from_nothing_is_large_and_a_number() -> None:
    assert score_move(np.array([1e-3]), np.array([0.0])).mean == pytest.approx(1e-3 / SMALLEST, rel=1e-5)
    assert np.isfinite(score_move(np.array([1.0]), np.array([0.0])).p99)


OLD = np.linspace(0.1, 0.4, 100)


@pytest.mark.parametrize(
    ("new", "asks"),
    [(OLD * 1.09, False), (OLD * 1.11, True), (OLD * np.where(np.arange(100) < 3, 1.6, 1), True), (OLD, False)],
)
def test_scores_that_move_beyond_either_limit_are_asked_about(new: np.ndarray, asks: bool) -> None:
    found = asking("when_scores_move", LIMITS, ACCEPTED, scores(new), scores(OLD))
    assert found is not None
    assert found.asks == asks
    assert f"{100 * found.move.mean:.3g} % (limit 10 %) in the mean" in found.why
    always = asking("always", LIMITS, ACCEPTED, scores(new), scores(OLD))
    assert always is not None
    assert (always.asks, "limit" in always.why) == (True, False)


def test_without_a_champion_nothing_moves_and_always_is_always() -> None:
    assert not asking("when_scores_move", LIMITS, ACCEPTED, scores(OLD), None).asks
    assert asking("always", LIMITS, ACCEPTED, scores(OLD), None).asks


def test_a_champion_that_cannot_be_compared_with_is_asked_about() -> None:
    unusable = replace(ACCEPTED, measures={"baseline": "unusable: 3 logits that are NaN"})
    found = asking("when_scores_move", LIMITS, unusable, scores(OLD), scores(OLD * np.nan))
    assert (found.asks, found.move) == (True, None)


def test_a_refused_candidate_and_a_pipeline_that_never_asks_ask_nobody() -> None:
    assert asking("always", LIMITS, replace(ACCEPTED, accepted=False), scores(OLD), None) is None
    assert asking("never", LIMITS, ACCEPTED, scores(OLD), None) is None
