"""The gate: each limit alone refuses, names number, limit and slice, and noise alone does not refuse."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.gate import GateRules, Scores, Seen, judge, unjudgeable

RULES = GateRules(
    metric="normalized_entropy",
    max_regression=0.002,
    min_auc=0.6,
    pcoc_range=(0.8, 1.25),
    min_rows=1000,
    slice_max_regression=0.02,
    slice_min_rows=500,
    bootstrap_repeats=100,
    seed=3,
    level=0.95,
)
ROWS = 6000
_rng = np.random.default_rng(11)
TRUTH = _rng.normal(-1.5, 1.2, ROWS)
LABEL = (_rng.random(ROWS) < 1 / (1 + np.exp(-TRUTH))).astype(np.int8)
SITE = np.array(["a", "b", "c"], dtype=object)[np.arange(ROWS) % 3]
NOISE = _rng.normal(0, 1, ROWS)


def scores(logit):
    return Scores(logit, 1 / (1 + np.exp(-logit)))


GOOD = scores(TRUTH + 0.1 * NOISE)
BAD = scores(TRUTH + 0.8 * NOISE - 0.2)


def only_reason(decision):
    assert not decision.accepted
    assert len(decision.reasons) == 1
    return decision.reasons[0]


def test_good_candidate_without_champion_is_accepted_and_the_lack_recorded():
    decision = judge(RULES, LABEL, GOOD, None, {"site": SITE})
    assert (decision.accepted, decision.reasons) == (True, ())
    assert decision.measures["baseline"] == "none"
    assert decision.measures["candidate"]["rows"] == ROWS
    assert "regression" not in decision.measures


def test_better_candidate_is_accepted_with_its_interval():
    decision = judge(RULES, LABEL, GOOD, BAD, {"site": SITE})
    assert (decision.accepted, decision.reasons) == (True, ())
    measures = decision.measures
    assert measures["baseline"] == "champion"
    gain = measures["candidate"]["normalized_entropy"] - measures["champion"]["normalized_entropy"]
    assert measures["regression"]["difference"] == pytest.approx(gain, abs=1e-12)
    assert measures["regression"]["high"] < 0
    assert set(measures["slices"]) == {"site=a", "site=b", "site=c"}


@pytest.mark.parametrize("metric", ["auc", "log_loss", "normalized_entropy"])
def test_worse_candidate_is_refused_with_number_limit_and_place(metric):
    decision = judge(replace(RULES, metric=metric), LABEL, BAD, GOOD, {})
    found = decision.measures["regression"]
    assert only_reason(decision) == (
        f"{metric}: worse than the champion by {found['difference']:.6g} "
        f"(interval {found['low']:.6g} to {found['high']:.6g}), limit 0.002; all rows"
    )
    assert 0.002 < found["low"] < found["difference"] < found["high"]


def test_regression_within_the_limit_or_the_noise_is_accepted():
    found = judge(RULES, LABEL, BAD, GOOD, {}).measures["regression"]
    between = (found["low"] + found["difference"]) / 2  # the estimate is beyond the limit, the interval is not
    assert judge(replace(RULES, max_regression=between), LABEL, BAD, GOOD, {}).accepted
    assert not judge(replace(RULES, max_regression=found["low"] - 1e-9), LABEL, BAD, GOOD, {}).accepted


def test_regression_on_one_slice_is_refused_by_its_name():
    logit = np.where(SITE == "b", BAD.logit, TRUTH)
    rules = replace(RULES, max_regression=1.0)
    assert only_reason(judge(rules, LABEL, scores(logit), GOOD, {"site": SITE})).endswith("limit 0.02; slice site=b")


def test_slice_limit_is_its_own():
    rules = replace(RULES, max_regression=1.0, slice_max_regression=1.0)
    assert judge(rules, LABEL, BAD, GOOD, {"site": SITE}).accepted


def test_small_slices_and_slices_of_one_class_are_skipped_on_record():
    site = np.where(np.arange(ROWS) < 499, "small", "large")
    outcome = np.where(LABEL == 1, "clicked", "not")
    decision = judge(replace(RULES, max_regression=1.0), LABEL, BAD, GOOD, {"site": site, "outcome": outcome})
    assert decision.measures["slices_skipped"] == {
        "site=small": "499 rows, limit at least 500",
        "outcome=clicked": f"{LABEL.sum()} positives in {LABEL.sum()} rows, limit at least 10 of each class",
        "outcome=not": f"0 positives in {ROWS - LABEL.sum()} rows, limit at least 10 of each class",
    }
    assert set(decision.measures["slices"]) == {"site=large"}


def test_many_slices_share_the_chance_of_error():
    measures = judge(RULES, LABEL, GOOD, GOOD, {"site": SITE, "all": np.zeros(ROWS)}).measures
    assert measures["slice_level"] == pytest.approx(1 - 0.05 / 4)
    one = judge(RULES, LABEL, GOOD, BAD, {"all": np.zeros(ROWS)}).measures
    four = judge(RULES, LABEL, GOOD, BAD, {"site": SITE, "all": np.zeros(ROWS)}).measures
    assert four["slices"]["all=0.0"]["low"] < one["slices"]["all=0.0"]["low"]


def test_too_few_rows_are_refused():
    assert only_reason(judge(replace(RULES, min_rows=6001), LABEL, GOOD, None, {})) == (
        "rows: 6000, limit at least 6001; all rows"
    )


def test_fewer_rows_than_usual_are_refused():
    few = Seen(usual_rows=3 * ROWS)
    assert only_reason(judge(RULES, LABEL, GOOD, None, {}, seen=few)) == (
        "rows: 0.3333 of the 18000 of the days before, limit at least 0.5; all rows"
    )
    assert judge(replace(RULES, min_rows_share=1 / 3), LABEL, GOOD, None, {}, seen=few).accepted


def test_values_that_the_candidate_does_not_know_are_refused():
    assert only_reason(judge(RULES, LABEL, GOOD, None, {}, seen=Seen(new_share=0.51))) == (
        "new values: 0.51 of the values have no id in the candidate's map, limit 0.5; all rows"
    )
    assert judge(RULES, LABEL, GOOD, None, {}, seen=Seen(new_share=0.5)).accepted


def beyond(number):
    """The next floating-point number."""
    return float(np.nextafter(number, np.inf))


def test_a_number_at_its_limit_is_allowed_and_the_next_one_is_refused():
    measures = judge(replace(RULES, min_auc=0.99), LABEL, BAD, GOOD, {"site": SITE}).measures
    auc, pcoc, regression = measures["auc"]["high"], measures["pcoc"], measures["regression"]["low"]
    worst = max(found["low"] for found in measures["slices"].values())
    assert pcoc["low"] < pcoc["high"]
    lenient = replace(RULES, max_regression=1.0, slice_max_regression=1.0)
    for at, over in (
        ({"min_rows": ROWS}, {"min_rows": ROWS + 1}),
        ({"min_auc": auc}, {"min_auc": beyond(auc)}),
        ({"pcoc_range": (0.01, pcoc["low"])}, {"pcoc_range": (0.01, -beyond(-pcoc["low"]))}),
        ({"pcoc_range": (pcoc["high"], 99.0)}, {"pcoc_range": (beyond(pcoc["high"]), 99.0)}),
        ({"max_regression": regression}, {"max_regression": -beyond(-regression)}),
        ({"slice_max_regression": worst}, {"slice_max_regression": -beyond(-worst)}),
    ):
        assert judge(replace(lenient, **at), LABEL, BAD, GOOD, {"site": SITE}).accepted, at
        assert len(judge(replace(lenient, **over), LABEL, BAD, GOOD, {"site": SITE}).reasons) == 1, over


def test_a_slice_of_just_enough_rows_and_clicks_is_judged():
    site = np.where(np.arange(ROWS) < 500, "small", "large")
    clicks = int(LABEL[:500].sum())
    for clicks_needed, judged in ((clicks, {"site=small", "site=large"}), (clicks + 1, {"site=large"})):
        rules = replace(RULES, min_clicks=clicks_needed)
        assert set(judge(rules, LABEL, BAD, GOOD, {"site": site}).measures["slices"]) == judged


def test_low_auc_of_what_is_served_is_refused():
    decision = judge(RULES, LABEL, Scores(GOOD.logit, GOOD.probability[np.argsort(NOISE)]), None, {})
    found = decision.measures["auc"]
    assert decision.measures["candidate"]["auc"] > 0.7  # the model's own ranks don't save it
    assert found["value"] == decision.measures["candidate"]["served_auc"]
    assert found["low"] < found["value"] < found["high"] < 0.6
    assert only_reason(decision) == (
        f"auc: {found['value']:.6g} (interval {found['low']:.6g} to {found['high']:.6g}), limit at least 0.6; all rows"
    )


def test_auc_below_its_limit_by_chance_is_accepted():
    auc = judge(RULES, LABEL, GOOD, None, {}).measures["candidate"]["served_auc"]
    decision = judge(replace(RULES, min_auc=auc + 0.001), LABEL, GOOD, None, {})
    assert decision.accepted
    assert decision.measures["auc"]["low"] < auc < auc + 0.001 < decision.measures["auc"]["high"]


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_pcoc_outside_its_range_is_refused(factor):
    decision = judge(RULES, LABEL, Scores(GOOD.logit, np.minimum(GOOD.probability * factor, 0.99)), None, {})
    found = decision.measures["pcoc"]
    assert found["value"] == decision.measures["candidate"]["pcoc"]
    assert only_reason(decision) == (
        f"pcoc: {found['value']:.6g} (interval {found['low']:.6g} to {found['high']:.6g}), limit 0.8 to 1.25; all rows"
    )


@pytest.mark.parametrize(("rows", "base"), [(300, -4.0), (1000, -4.0), (3000, -6.0), (100, -1.5)])
def test_the_truth_itself_is_hardly_ever_refused(rows, base):
    refused = 0
    for seed in range(100):  # 10 to 33 clicks are expected: PCOC alone is outside 0.8 to 1.25 in 2 of 5 seeds
        rng = np.random.default_rng([seed, rows])
        logit = base + rng.normal(0, 1.2, rows)
        truth = scores(logit)
        label = (rng.random(rows) < truth.probability).astype(np.int8)
        refused += not judge(GateRules(bootstrap_repeats=10), label, truth, truth, {}).accepted
    assert refused <= 2


@pytest.mark.parametrize(("factor", "clicks_of_factor"), [(3.0, 30), (0.25, 30), (8.0, 6)])
def test_a_model_far_off_is_refused_with_few_clicks(factor, clicks_of_factor):
    label = np.zeros(3000)
    label[:clicks_of_factor] = 1
    p = np.full(3000, factor * clicks_of_factor / 3000) * np.linspace(1.5, 0.5, 3000)
    reason = only_reason(judge(GateRules(), label, Scores(np.log(p), p), None, {}))
    assert reason.startswith(f"pcoc: {factor:g} (interval ")


def test_fewer_clicks_than_min_clicks_are_not_judged_by_ranks_and_the_decision_says_so():
    label = np.zeros(400)
    label[:9] = 1
    backwards = scores(np.linspace(-5, -2.8, 400))
    decision = judge(GateRules(), label, backwards, backwards, {})
    assert decision.accepted
    few = "9 positives in 400 rows, limit at least 10 of each class"
    assert decision.measures["notes"] == [f"not judged by auc and against the champion: {few}"]
    assert decision.measures["regression"] == {"skipped": few}
    assert not judge(GateRules(min_clicks=9), label, backwards, backwards, {}).accepted


@pytest.mark.parametrize("metric", ["auc", "log_loss", "normalized_entropy"])
def test_certain_and_wrong_calibrated_logits_are_measured_not_refused_as_infinite(metric):
    logit = GOOD.logit.copy()
    logit[np.flatnonzero(LABEL == 0)[0]] = 40.0  # its probability is exactly 1
    candidate = Scores(logit, 1 / (1 + np.exp(-logit)), logit)
    champion = Scores(BAD.logit, BAD.probability, BAD.logit)
    decision = judge(replace(RULES, metric=metric), LABEL, candidate, champion, {"site": SITE})
    assert decision.accepted
    assert decision.measures["candidate"]["log_loss"] < 1
    json.dumps(decision.measures, allow_nan=False)


def test_equal_scores_are_noted():
    equal = scores(np.full(ROWS, np.log(LABEL.mean() / (1 - LABEL.mean()))))
    decision = judge(replace(RULES, min_auc=0.5), LABEL, equal, None, {})
    assert decision.accepted
    assert decision.measures["notes"][0].startswith("all 6000 scores of the model are equal")


@pytest.mark.parametrize(("label", "counts"), [([], "0 clicks, 0 non-clicks"), ([1, 1], "2 clicks, 0 non-clicks")])
def test_rows_of_one_class_cannot_be_judged(label, counts):
    assert unjudgeable(label).startswith(f"cannot be judged: {counts}; expected at least one of each")
    assert unjudgeable([0, 1]) == ""


@pytest.mark.parametrize("clicked", [0, 1])
def test_one_class_proves_nothing_and_is_refused(clicked):
    decision = judge(RULES, np.full(ROWS, clicked), GOOD, GOOD, {})
    reason = f"auc: undefined with {clicked * ROWS} positives in 6000 rows, limit 0.6; all rows"
    assert reason in decision.reasons
    assert decision.measures["regression"] == {
        "skipped": f"{clicked * ROWS} positives in 6000 rows, limit at least 10 of each class"
    }


@pytest.mark.parametrize("champion", [None, GOOD])
def test_no_rows_are_refused(champion):
    nothing = np.zeros(0)
    champion = champion and Scores(nothing, nothing)
    decision = judge(RULES, nothing, Scores(nothing, nothing), champion, {})
    assert decision.reasons[0] == "rows: 0, limit at least 1000; all rows"


@pytest.mark.parametrize(
    ("logit", "probability", "reason"),
    [
        (np.nan, 0.5, "candidate: 1 logits that are NaN or infinite, limit 0; all rows"),
        (-np.inf, 0.5, "candidate: 1 logits that are NaN or infinite, limit 0; all rows"),
        (0.0, np.nan, "candidate: 1 probabilities that are NaN or outside [0, 1], limit 0; all rows"),
        (0.0, np.inf, "candidate: 1 probabilities that are NaN or outside [0, 1], limit 0; all rows"),
        (
            0.0,
            1.0 - LABEL[5],
            "candidate: 1 probabilities of exactly 0 or 1 against the label (infinite log loss), limit 0; all rows",
        ),
    ],
)
def test_one_number_that_is_no_number_refuses(logit, probability, reason):
    candidate = Scores(GOOD.logit.copy(), GOOD.probability.copy())
    candidate.logit[5], candidate.probability[5] = logit, probability
    assert only_reason(judge(RULES, LABEL, candidate, BAD, {})) == reason


def test_broken_champion_is_recorded_and_does_not_refuse_the_candidate():
    decision = judge(RULES, LABEL, GOOD, Scores(np.full(ROWS, np.nan), GOOD.probability), {})
    assert decision.accepted
    assert decision.measures["baseline"] == "unusable: 6000 logits that are NaN or infinite, limit 0"


def test_every_broken_limit_has_its_reason():
    rules = replace(RULES, min_rows=7000, min_auc=0.99, pcoc_range=(3.0, 4.0))
    reasons = judge(rules, LABEL, BAD, GOOD, {"site": SITE}).reasons
    assert [reason.split(":")[0] for reason in reasons] == ["rows", "auc", "pcoc"] + ["normalized_entropy"] * 4


def test_decision_is_repeatable_and_fits_strict_json():
    decision = judge(RULES, LABEL, BAD, GOOD, {"site": SITE})
    assert decision == judge(RULES, LABEL, BAD, GOOD, {"site": SITE})
    json.dumps(decision.measures, allow_nan=False)


def test_slice_of_another_length_is_refused():
    with pytest.raises(InputError, match="slice site: expected 6000 values, one for each row, received 5"):
        judge(RULES, LABEL, GOOD, BAD, {"site": SITE[:5]})


def test_rows_of_clusters_are_drawn_together():
    clusters = np.arange(ROWS, dtype=np.uint64) // 20
    alone, together = (judge(RULES, LABEL, BAD, GOOD, {}, units).measures["regression"] for units in (None, clusters))
    assert together["difference"] == pytest.approx(alone["difference"], rel=1e-9)
    assert together["low"] != alone["low"]
    low = judge(RULES, LABEL, scores(-TRUTH), None, {}, clusters).measures["auc"]
    assert low["low"] != judge(RULES, LABEL, scores(-TRUTH), None, {}).measures["auc"]["low"]


def test_many_clicks_of_few_clusters_are_no_evidence():
    clusters = np.where(np.arange(ROWS) < ROWS // 2, 0, np.arange(ROWS)).astype(np.uint64)
    slices = {"half": np.array(["one user", "many"])[(np.arange(ROWS) >= ROWS // 2).astype(int)]}
    measures = judge(RULES, LABEL, GOOD, BAD, slices, clusters).measures
    assert list(measures["slices"]) == ["half=many"]
    assert measures["slices_skipped"] == {
        "half=one user": "1 clusters with positives, 1 with negatives, limit at least 10 of each class"
    }
    decision = judge(RULES, LABEL, BAD, GOOD, {}, np.zeros(ROWS, np.uint64))
    assert decision.accepted
    assert "1 clusters with positives" in decision.measures["regression"]["skipped"]
