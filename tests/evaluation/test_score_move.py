"""How far scores move, against the definition, and whom that is asked of."""

from dataclasses import replace

import numpy as np
import pytest

from pnn_gluon.evaluation.gate import GateDecision, Scores
from pnn_gluon.evaluation.score_move import SMALLEST, MoveLimits, ScoreMove, asking, move_of, score_move

LIMITS = MoveLimits(mean=0.1, p99=0.5, rank_correlation=0.8, overlap=0.6)
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


def test_the_order_is_compared_by_ranks_with_ties_at_their_mean() -> None:
    draw = np.random.default_rng(5)
    old, new = (draw.integers(1, 30, 400) / 100 for _ in range(2))

    def ranks(values: np.ndarray) -> np.ndarray:
        return np.array([(values < each).sum() + ((values == each).sum() + 1) / 2 for each in values])

    found = score_move(new, old)
    assert found.rank_correlation == pytest.approx(np.corrcoef(ranks(new), ranks(old))[0, 1], abs=1e-12)
    first, second = (set(sorted(range(400), key=lambda at, p=each: (-p[at], at))[:40]) for each in (old, new))
    assert found.overlap == len(first & second) / 40


def test_equal_scores_have_no_correlation_and_stay_where_they_are() -> None:
    found = score_move(np.full(50, 0.2), np.full(50, 0.1))
    assert (found.rank_correlation, found.overlap) == (None, 1.0)
    assert LIMITS.exceeded(replace(found, mean=0.0, p99=0.0))


OLD = np.linspace(0.1, 0.4, 100)


@pytest.mark.parametrize(
    ("new", "asks"),
    [(OLD * 1.09, False), (OLD * 1.11, True), (OLD * np.where(np.arange(100) < 3, 1.6, 1), True), (OLD, False)],
)
def test_scores_that_move_beyond_a_limit_are_asked_about(new: np.ndarray, asks: bool) -> None:
    move = score_move(new, OLD)
    found = asking("when_scores_move", LIMITS, ACCEPTED, move)
    assert found is not None
    assert found.asks == asks
    assert f"{100 * move.mean:.3g} % (limit 10 %) in the mean" in found.why
    always = asking("always", LIMITS, ACCEPTED, move)
    assert always is not None
    assert (always.asks, "limit" in always.why) == (True, False)


@pytest.mark.parametrize(
    ("move", "asks"),
    [
        (ScoreMove(0.1, 0.5, 0.8, 0.6), False),
        (ScoreMove(0.11, 0.5, 0.8, 0.6), True),
        (ScoreMove(0.1, 0.51, 0.8, 0.6), True),
        (ScoreMove(0.1, 0.5, 0.79, 0.6), True),
        (ScoreMove(0.1, 0.5, 0.8, 0.59), True),
    ],
)
def test_each_limit_alone_asks_and_none_does_at_its_number(move: ScoreMove, asks: bool) -> None:
    found = asking("when_scores_move", LIMITS, ACCEPTED, move)
    assert found is not None
    assert found.asks == asks
    assert "(limit 0.8), " in found.why
    assert "(limit 60 %) of the top tenth" in found.why


def test_without_a_champion_nothing_moves_and_always_is_always() -> None:
    alone = replace(ACCEPTED, measures={"baseline": "none"})
    assert move_of(alone, scores(OLD), None) is None
    assert not asking("when_scores_move", LIMITS, alone, None).asks
    assert asking("always", LIMITS, alone, None).asks


def test_a_champion_that_cannot_be_compared_with_is_asked_about() -> None:
    unusable = replace(ACCEPTED, measures={"baseline": "unusable: 3 logits that are NaN"})
    assert move_of(unusable, scores(OLD), scores(OLD * np.nan)) is None
    assert asking("when_scores_move", LIMITS, unusable, None).asks


def test_a_refused_candidate_and_a_pipeline_that_never_asks_ask_nobody() -> None:
    assert asking("always", LIMITS, replace(ACCEPTED, accepted=False), score_move(OLD, OLD)) is None
    assert asking("never", LIMITS, ACCEPTED, score_move(OLD, OLD)) is None


@pytest.mark.parametrize("ties", [False, True])
def test_moves_of_weighted_rows_are_those_of_the_rows_written_out(ties: bool) -> None:
    draw = np.random.default_rng(8)
    old, new = draw.uniform(0.01, 0.9, (2, 300)).round(1 if ties else 9)
    old, weight = np.maximum(old, 0.05), draw.integers(1, 30, 300)
    found = score_move(new, old, weight)
    expected = score_move(np.repeat(new, weight), np.repeat(old, weight))
    for name in ("mean", "p99", "rank_correlation", "overlap"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-10)
    assert found.mean != pytest.approx(score_move(new, old).mean, rel=1e-3)
    assert score_move(np.full(300, 0.5), old, weight).rank_correlation is None
