"""What the gate decides about models of known worth: as good, worse in one slice, as good but in another order."""

from typing import NamedTuple

import numpy as np

from pnn_gluon.evaluation.gate import GateDecision, GateRules, Scores, judge
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.score_move import MoveLimits, asking, move_of

SEEDS = range(20)
ROWS = 20_000
RULES = GateRules(bootstrap_repeats=100)
LIMITS = MoveLimits(mean=0.1, p99=0.5, rank_correlation=0.8, overlap=0.5)
SIZES = {"site": 3, "ad": 40, "hour": 24}


class World(NamedTuple):
    """Rows of three fields whose weights are known, at a click rate of some 8 %."""

    values: dict[str, np.ndarray]
    parts: dict[str, np.ndarray]
    label: np.ndarray

    @classmethod
    def of(cls, seed: int) -> "World":
        rng = np.random.default_rng(seed)
        values = {name: rng.integers(0, size, ROWS) for name, size in SIZES.items()}
        parts = {name: rng.normal(0, 0.7, SIZES[name])[each] for name, each in values.items()}
        label = (rng.random(ROWS) < sigmoid(-2.8 + sum(parts.values()))).astype(np.int8)
        return cls(values, parts, label)

    def scores(self, **changed: np.ndarray) -> Scores:
        """A model that knows the weights, but for some."""
        logit = -2.8 + sum((self.parts | changed).values())
        return Scores(logit, sigmoid(logit), logit)

    def learnt(self, seed: int, error: float) -> Scores:
        """A model whose weight of every ad is off by chance, as after training on other rows."""
        off = np.random.default_rng(seed).normal(0, error, SIZES["ad"])
        return self.scores(ad=self.parts["ad"] + off[self.values["ad"]])

    def judged(self, candidate: Scores, champion: Scores) -> GateDecision:
        return judge(RULES, self.label, candidate, champion, {"site": self.values["site"]})


def test_a_model_as_good_as_the_champion_passes_and_is_not_asked_about() -> None:
    accepted = 0
    for seed in SEEDS:
        world = World.of(seed)
        candidate, champion = world.learnt(1000 + seed, 0.1), world.learnt(2000 + seed, 0.1)
        decision = world.judged(candidate, champion)
        accepted += decision.accepted
        assert not moves(decision, candidate, champion)
    assert accepted >= 18


def test_a_model_of_equal_scores_is_not_asked_about() -> None:
    world = World.of(0)
    same = world.learnt(1000, 0.0)
    assert not moves(world.judged(same, same), same, same)


def moves(decision: GateDecision, candidate: Scores, champion: Scores) -> bool:
    """Whether the scores move so that a person is asked; the mean may move somewhat more than by `LIMITS`."""
    move = move_of(decision, candidate, champion)
    assert move is not None
    return MoveLimits(0.25, 0.5, LIMITS.rank_correlation, LIMITS.overlap).exceeded(move)


def test_a_field_shuffled_in_one_slice_is_refused_and_the_slice_is_named() -> None:
    refused = named = 0
    for seed in SEEDS:
        world = World.of(seed)
        where, ad = world.values["site"] == 1, world.parts["ad"].copy()
        ad[where] = np.random.default_rng(seed).permutation(ad[where])
        decision = world.judged(world.scores(ad=ad), world.learnt(2000 + seed, 0.1))
        slices = [reason for reason in decision.reasons if "slice" in reason]
        refused += not decision.accepted
        named += len(slices) == 1 and slices[0].endswith("slice site=1")
    assert refused == len(SEEDS)
    assert named >= 18


def two_halves(seed: int) -> tuple[np.ndarray, Scores, Scores]:
    """Labels, and two models of the same worth that rank the rows differently: each knows one half of the truth."""
    rng = np.random.default_rng(seed)
    halves = rng.normal(0, 0.8, (2, ROWS))
    label = (rng.random(ROWS) < sigmoid(-2.8 + halves.sum(axis=0))).astype(np.int8)
    first, second = (Scores(logit, sigmoid(logit), logit) for logit in -2.55 + 0.95 * halves)
    return label, first, second


def test_a_model_that_reshuffles_scores_is_held_for_a_person() -> None:
    held = by_order = 0
    for seed in SEEDS:
        label, candidate, champion = two_halves(seed)
        decision = judge(RULES, label, candidate, champion, {})
        move = move_of(decision, candidate, champion)
        assert move is not None
        assert abs(move.rank_correlation or 0) < 0.05
        asked = asking("when_scores_move", LIMITS, decision, move)
        held += asked is not None and asked.asks
        order_only = MoveLimits(mean=np.inf, p99=np.inf, rank_correlation=0.8, overlap=0.5)
        by_order += order_only.exceeded(move)
    assert held >= 18
    assert by_order == len(SEEDS)
