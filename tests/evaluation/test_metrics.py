"""Metrics against their definitions, written out in float64, and the laws of mergeable sums."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.metrics import (
    BIN_EDGES,
    Auc,
    ClickMetrics,
    Ece,
    LogLoss,
    NormalizedEntropy,
    Pcoc,
    entropy,
)

KEYS = [
    *("rows", "positives", "ctr", "mean_probability", "auc", "served_auc"),
    *("log_loss", "normalized_entropy", "rig", "pcoc", "ece"),
]


def auc_by_pairs(label, score, weight):
    gained = pairs = 0.0
    for y_i, s_i, w_i in zip(label, score, weight, strict=True):
        for y_j, s_j, w_j in zip(label, score, weight, strict=True):
            if y_i == 1 and y_j == 0:
                pairs += w_i * w_j
                gained += w_i * w_j * (1.0 if s_i > s_j else 0.5 if s_i == s_j else 0.0)
    return gained / pairs


def ece_by_bins(label, probability):
    edges = [0.0, *BIN_EDGES, math.inf]
    total = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (probability >= low) & (probability < high)
        if inside.any():
            total += inside.sum() * abs(probability[inside].mean() - label[inside].mean())
    return total / len(label)


def clicks(rows, seed=0, decimals=2):
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1.5, rows).round(decimals)  # rounded: many ties
    probability = 1 / (1 + np.exp(-logit))
    return (rng.random(rows) < probability).astype(np.int8), logit, probability


@st.composite
def rows_of_clicks(draw):
    """A label array and probabilities from few values (ties), at least one row."""
    rows = draw(st.lists(st.tuples(st.booleans(), st.integers(1, 99)), min_size=1, max_size=60))
    label, percent = np.array(rows).T
    return label, percent / 100


def test_auc_equals_the_share_of_ordered_pairs_with_ties_half():
    label, logit, _ = clicks(150, decimals=0)
    weight = np.random.default_rng(1).integers(0, 4, 150)
    assert Auc().update(label, logit).value() == pytest.approx(auc_by_pairs(label, logit, np.ones(150)), abs=1e-14)
    assert Auc().update(label, logit, weight).value() == pytest.approx(auc_by_pairs(label, logit, weight), abs=1e-14)


def test_auc_of_perfect_reversed_and_constant_scores():
    label = np.array([0, 0, 1, 1])
    assert Auc().update(label, [1, 2, 3, 4]).value() == 1.0
    assert Auc().update(label, [4, 3, 2, 1]).value() == 0.0
    assert Auc().update(label, [7, 7, 7, 7]).value() == 0.5


@given(rows_of_clicks())
def test_auc_is_invariant_to_increasing_transforms(rows):
    label, probability = rows
    plain = Auc().update(label, probability).value()
    for transformed in (np.log(probability / (1 - probability)), probability**3, 5 * probability - 2):
        np.testing.assert_equal(Auc().update(label, transformed).value(), plain)


def test_auc_state_of_many_batches_keeps_few_runs():
    label, logit, _ = clicks(4000, decimals=9)
    state = Auc()
    for rows in np.array_split(np.arange(4000), 200):
        state = state.update(label[rows], logit[rows])
    assert len(state.runs) <= 12
    assert state.value() == Auc().update(label, logit).value()


def test_log_loss_and_normalized_entropy_follow_their_formulas():
    label, _, p = clicks(500)
    weight = np.random.default_rng(2).random(500)
    loss = -(label * np.log(p) + (1 - label) * np.log(1 - p))
    rate = (weight * label).sum() / weight.sum()
    base = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    expected = (weight * loss).sum() / weight.sum()
    assert LogLoss().update(label, p, weight).value() == pytest.approx(expected, rel=1e-13)
    normalized = NormalizedEntropy().update(label, p, weight)
    assert normalized.value() == pytest.approx(expected / base, rel=1e-13)
    assert normalized.rig() == pytest.approx(1 - expected / base, rel=1e-12)


def test_constant_click_rate_has_normalized_entropy_one():
    label = np.array([1, 0, 0, 0])
    assert NormalizedEntropy().update(label, np.full(4, 0.25)).value() == pytest.approx(1, abs=1e-15)


def test_certain_and_wrong_probability_costs_infinity_and_certain_right_costs_nothing():
    assert LogLoss().update([1, 0], [1.0, 0.0]).value() == 0.0
    assert LogLoss().update([1, 0], [0.0, 0.5]).value() == math.inf
    assert LogLoss().update([1, 0], [0.5, 1.0]).value() == math.inf
    assert LogLoss().update([1, 0], [0.0, 0.5], [0, 1]).value() == pytest.approx(math.log(2))


def test_tiny_probabilities_keep_their_precision():
    assert LogLoss().update([0], [1e-20]).value() == pytest.approx(1e-20, rel=1e-12)
    assert LogLoss().update([1], [1e-300]).value() == pytest.approx(300 * math.log(10), rel=1e-14)


def test_pcoc_is_predicted_over_observed():
    assert Pcoc().update([1, 0, 1, 0], [0.9, 0.3, 0.2, 0.1]).value() == pytest.approx(1.5 / 2)
    assert Pcoc().update([1, 0], [0.9, 0.3], [2, 10]).value() == pytest.approx((1.8 + 3) / 2)
    assert math.isnan(Pcoc().update([0, 0], [0.9, 0.3]).value())


def test_ece_and_table_follow_the_bins():
    label, _, p = clicks(2000, decimals=6)
    p[:2] = [0.0, 1.0]
    state = Ece().update(label, p)
    assert state.value() == pytest.approx(ece_by_bins(label, p), rel=1e-12)
    for row in state.table():
        inside = (p >= row["low"]) & ((p < row["high"]) | (row["high"] == 1))
        assert row["rows"] == inside.sum() > 0
        assert row["mean_probability"] == pytest.approx(p[inside].mean(), rel=1e-12, abs=1e-15)
        assert row["ctr"] == pytest.approx(label[inside].mean(), rel=1e-12)
    assert sum(row["rows"] for row in state.table()) == 2000


def test_value_on_a_bin_edge_belongs_to_the_bin_above():
    assert [row["low"] for row in Ece().update([1], [0.5]).table()] == [0.5]


@given(rows_of_clicks(), st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=60)
def test_merged_parts_equal_one_pass(rows, first, second):
    label, p = rows
    logit = np.log(p / (1 - p))
    cuts = sorted((first % (label.size + 1), second % (label.size + 1)))
    parts = [
        ClickMetrics().update(*arrays)
        for arrays in zip(*(np.split(array, cuts) for array in (label, logit, p)), strict=True)
    ]
    whole = ClickMetrics().update(label, logit, p).summary()
    for merged in ((parts[0] + parts[1]) + parts[2], parts[2] + (parts[0] + parts[1])):
        assert list(merged.summary()) == list(whole) == KEYS
        for key, value in whole.items():
            if value is None or key in {"rows", "positives", "ctr", "auc", "served_auc"}:
                assert merged.summary()[key] == value
            else:
                assert merged.summary()[key] == pytest.approx(value, rel=1e-12, abs=1e-12)


def test_update_leaves_the_old_state_alone():
    old = ClickMetrics().update([1, 0], [1.0, -1.0], [0.7, 0.3])
    before = old.summary()
    old.update([0, 0], [1.0, -1.0], [0.7, 0.3])
    assert old.summary() == before
    assert ClickMetrics().summary()["rows"] == 0


def test_summary_gathers_every_metric_of_the_same_rows():
    label, logit, p = clicks(300)
    assert ClickMetrics().update(label, logit, p).summary() == {
        "rows": 300,
        "positives": int(label.sum()),
        "ctr": label.mean(),
        "mean_probability": pytest.approx(p.mean()),
        "auc": Auc().update(label, logit).value(),
        "served_auc": Auc().update(label, p).value(),
        "log_loss": LogLoss().update(label, p).value(),
        "normalized_entropy": NormalizedEntropy().update(label, p).value(),
        "rig": NormalizedEntropy().update(label, p).rig(),
        "pcoc": pytest.approx(p.sum() / label.sum()),
        "ece": Ece().update(label, p).value(),
    }


def test_summary_has_the_ranks_of_the_model_beside_those_that_are_served():
    summary = ClickMetrics().update([0, 1], [1.0, 2.0], [0.5, 0.5]).summary()
    assert (summary["auc"], summary["served_auc"]) == (1.0, 0.5)


def test_loss_of_a_certain_and_wrong_logit_is_finite_and_exact():
    label, logit = np.array([0, 1, 1]), np.array([40.0, -800.0, 3.0])  # sigmoid: exactly 1, exactly 0
    expected = (40 + np.exp(-40) + 800 + np.log1p(np.exp(-3))) / 3
    assert LogLoss().update_logits(label, logit).value() == pytest.approx(expected, rel=1e-15)
    with np.errstate(over="ignore"):
        p = 1 / (1 + np.exp(-logit))
    summary = ClickMetrics().update(label, logit, p, calibrated_logit=logit).summary()
    assert summary["log_loss"] == pytest.approx(expected, rel=1e-15)
    assert summary["normalized_entropy"] == pytest.approx(expected / entropy(2 / 3), rel=1e-14)
    assert LogLoss().update(label, p).value() == math.inf


def test_losses_from_logits_and_from_probabilities_agree():
    label, logit, p = clicks(500)
    weight = np.random.default_rng(2).random(500)
    from_logits = NormalizedEntropy().update_logits(label, logit, weight)
    from_probabilities = NormalizedEntropy().update(label, p, weight)
    assert from_logits.value() == pytest.approx(from_probabilities.value(), rel=1e-13)
    assert from_logits.log_loss.value() == pytest.approx(from_probabilities.log_loss.value(), rel=1e-13)


def test_equal_scores_and_merged_ranks_are_warned_about():
    label, logit, p = clicks(500, decimals=6)
    assert ClickMetrics().update(label, logit, p).warnings() == []
    (equal,) = ClickMetrics().update(label, np.zeros(500), np.full(500, 0.5)).warnings()
    assert equal.startswith("all 500 scores of the model are equal")
    (merged,) = ClickMetrics().update(label, logit, p.round(1)).warnings()
    assert merged.startswith("calibration merges ranks: 11 probabilities of ")


@pytest.mark.parametrize(
    ("label", "probability", "missing"),
    [
        ([], [], set(KEYS) - {"rows", "positives"}),
        ([0, 0], [0.1, 0.2], {"auc", "served_auc", "normalized_entropy", "rig", "pcoc"}),
        ([1, 1], [0.1, 0.2], {"auc", "served_auc", "normalized_entropy", "rig"}),
        ([1, 0], [0.0, 0.2], {"log_loss", "normalized_entropy", "rig"}),
    ],
    ids=["no rows", "no positives", "no negatives", "infinite loss"],
)
def test_undefined_numbers_are_null_in_strict_json(label, probability, missing):
    summary = ClickMetrics().update(label, np.arange(len(label)), probability).summary()
    assert {key for key, value in summary.items() if value is None} == missing
    json.dumps(summary, allow_nan=False)


@pytest.mark.parametrize(
    ("label", "logit", "probability", "message"),
    [
        ([0, 2], [0, 0], [0.1, 0.1], "label: expected 0 or 1, received 2.0 at row 1"),
        ([0, 1], [0, np.nan], [0.1, 0.1], "logit: expected a finite number, received nan at row 1"),
        ([0, 1], [0, np.inf], [0.1, 0.1], "logit: expected a finite number, received inf"),
        ([0, 1], [0, 0], [0.1, np.nan], r"probability: expected a value in \[0, 1\], received nan"),
        ([0, 1], [0, 0], [0.1, 1.1], r"probability: expected a value in \[0, 1\], received 1.1"),
        ([0, 1], [0, 0, 0], [0.1, 0.1], r"logit: expected shape \(2,\).*received \(3,\)"),
        ([[0, 1]], [0, 0], [0.1, 0.1], r"label: expected shape \(B,\), received \(1, 2\)"),
    ],
)
def test_bad_rows_are_named(label, logit, probability, message):
    with pytest.raises(InputError, match=message):
        ClickMetrics().update(label, logit, probability)


@pytest.mark.parametrize("weight", [[1, -1], [1, np.inf]])
def test_bad_weights_are_named(weight):
    with pytest.raises(InputError, match="weight: expected a finite value >= 0"):
        Pcoc().update([0, 1], [0.1, 0.1], weight)


def test_nan_score_has_no_rank():
    with pytest.raises(InputError, match="score: expected a number"):
        Auc().update([0, 1], [0.1, np.nan])


def test_entropy_of_certain_events_is_zero():
    assert entropy(0.0) == entropy(1.0) == 0
    assert entropy(0.5) == pytest.approx(math.log(2))
