"""The rules of a decision say the same as the gate: what failed is what it gave as a reason."""

import re
from typing import Any

import numpy as np
import pytest

from pnn_gluon.evaluation.gate import NOTHING_SEEN, GateDecision, GateRules, Scores, Seen, judge
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.report.decision import decision_lines, decision_rules

ROWS = 6000


def judged(
    shift: float = 0.0, noise: float = 0.0, champion: bool = True, seen: Seen = NOTHING_SEEN, **rules: Any
) -> GateDecision:
    """A candidate whose logits are off by `shift`, and by noise in one of two slices; the champion knows the truth."""
    rng = np.random.default_rng(1)
    truth = rng.normal(-1.5, 1.0, ROWS)
    where = rng.integers(0, 2, ROWS)
    label = rng.random(ROWS) < sigmoid(truth)
    logit = truth + shift + noise * (where == 1) * rng.normal(0, 1, ROWS)
    candidate, other = (Scores(each, sigmoid(each), each) for each in (logit, truth))
    limits = GateRules(**{"min_rows": 100, "slice_min_rows": 100, **rules})
    return judge(limits, label, candidate, other if champion else None, {"side": where}, seen=seen)


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({}, []),
        ({"shift": 1.5}, [("pcoc", "all rows")]),
        ({"noise": 3.0}, [("against the champion", "all rows"), ("against the champion", "slice side=1")]),
        ({"min_auc": 0.99}, [("auc", "all rows")]),
        ({"champion": False}, []),
        ({"min_rows": 10_000}, [("rows", "all rows")]),
        ({"seen": Seen(new_share=0.6)}, [("new values", "all rows")]),
        ({"seen": Seen(usual_rows=3.0 * ROWS)}, [("rows against the days before", "all rows")]),
    ],
)
def test_a_rule_fails_where_the_gate_gives_a_reason(changes: dict[str, Any], failed: list[tuple[str, str]]) -> None:
    decision = judged(**changes)
    rules = decision_rules(decision.measures)
    found = [(each["rule"], each["where"]) for each in rules if each["passed"] is False]
    assert set(failed) <= set(found)
    assert len(found) == len(decision.reasons)
    assert decision.accepted == (not found)
    assert all(each["words"] for each in rules)


def test_the_worst_slice_stands_first_with_its_number_and_interval() -> None:
    rules = [each for each in decision_rules(judged(noise=3.0).measures) if each["where"].startswith("slice")]
    assert [each["where"] for each in rules] == ["slice side=1", "slice side=0"]
    assert rules[0]["low"] < rules[0]["value"] < rules[0]["high"]
    assert "at most 0.02" in rules[0]["words"]


def test_what_was_not_judged_says_why() -> None:
    rules = decision_rules(judged(min_clicks=100_000).measures)
    assert any(each["passed"] is None and "limit at least 100000" in each["words"] for each in rules)
    alone = decision_rules(judged(champion=False).measures)
    assert (alone[-1]["outcome"], alone[-1]["words"]) == ("not judged", "champion none")
    assert decision_rules({}) == []


def test_scores_that_are_not_finite_fail_alone() -> None:
    bad = Scores(np.array([np.nan, 0.0]), np.array([0.5, 0.5]), np.array([0.0, 0.0]))
    (rule,) = decision_rules(judge(GateRules(), np.array([0, 1]), bad, None, {}).measures)[:1]
    assert (rule["rule"], rule["passed"]) == ("finite scores", False)


def test_how_far_scores_move_is_told_also_by_an_earlier_release() -> None:
    move = {"mean": 0.05, "p99": 0.4}
    (*_, told) = decision_rules(judged().measures | {"move": move})
    assert (told["passed"], told["outcome"]) == (None, "told")
    assert told["words"] == "5.0% in the mean, 40.0% at the 99th percentile"
    (*_, told) = decision_rules(judged().measures | {"move": {**move, "rank_correlation": 0.9, "overlap": 0.75}})
    assert told["words"].endswith("99th percentile, rank correlation 0.900, 75.0% of the top tenth stay there")


def test_rows_and_new_values_are_rules_with_their_limits() -> None:
    found = {each["rule"]: each for each in decision_rules(judged(seen=Seen(0.6, 3 * ROWS)).measures)}
    for rule, value, limit in (("rows against the days before", 1 / 3, 0.5), ("new values", 0.6, 0.5)):
        assert (found[rule]["value"], found[rule]["limit"], found[rule]["outcome"]) == (value, limit, "failed")
    assert (found["rows"]["value"], found["rows"]["limit"], found["rows"]["outcome"]) == (ROWS, 100, "passed")


def test_a_decision_is_told_in_lines() -> None:
    lines = decision_lines(judged(min_auc=0.99).measures)
    assert lines[0] == "finite scores, all rows: passed: scores are finite, probabilities within [0, 1]"
    assert any(re.fullmatch(r"auc, all rows: failed: 0\.\d+ \(.*\), at least 0\.99", line) for line in lines)
