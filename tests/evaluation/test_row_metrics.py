"""Every metric is a mergeable sum: over random splits, over repeated rows, and against scikit-learn."""

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.auc import Auc
from pnn_gluon.evaluation.ece import Ece
from pnn_gluon.evaluation.grouped_auc import GroupedAuc
from pnn_gluon.evaluation.log_loss import LogLoss, NormalizedEntropy
from pnn_gluon.evaluation.pcoc import Pcoc
from pnn_gluon.evaluation.score_histogram import ScoreHistogram
from pnn_gluon.evaluation.squared_error import SquaredError

METRICS = [Auc, Ece, LogLoss, NormalizedEntropy, Pcoc, SquaredError, ScoreHistogram]
PEERS = {
    Auc: sklearn.metrics.roc_auc_score,
    LogLoss: sklearn.metrics.log_loss,
    SquaredError: sklearn.metrics.brier_score_loss,
}


@st.composite
def rows_of_clicks(draw):
    """Labels, probabilities (ties are common), small weights of whole numbers, and groups."""
    columns = (st.booleans(), st.integers(1, 99), st.integers(0, 3), st.integers(0, 4))
    label, percent, weight, group = np.array(draw(st.lists(st.tuples(*columns), min_size=1, max_size=50))).T
    return label, percent / 100, weight, group.astype(np.uint64)


def numbers(state):
    """All that a state says."""
    if isinstance(state, ScoreHistogram):
        auc, ece = state.auc(), state.ece(5)
        return [auc.value, auc.bound, ece.value, ece.bound, *vars(state.brier(5)).values()]
    if isinstance(state, GroupedAuc):
        return list(vars(state.value()).values())
    return [state.value()]


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=40)
@given(rows_of_clicks(), st.lists(st.integers(0, 50), max_size=4), st.randoms(use_true_random=False))
def test_parts_in_any_order_equal_one_pass(metric, rows, cuts, random):
    columns = rows[:3]
    cuts = sorted(cut % (columns[0].size + 1) for cut in cuts)
    parts = [metric().update(*part) for part in zip(*(np.split(column, cuts) for column in columns), strict=True)]
    random.shuffle(parts)
    assert numbers(sum(parts, metric())) == pytest.approx(numbers(metric().update(*columns)), abs=1e-12, nan_ok=True)


@settings(max_examples=40)
@given(rows_of_clicks(), st.integers(0, 50))
def test_parts_of_groups_equal_one_pass(rows, cut):
    label, p, weight, group = rows
    first, second = slice(0, cut), slice(cut, None)
    parts = [GroupedAuc().update(group[part], label[part], p[part], weight[part]) for part in (second, first)]
    whole = GroupedAuc().update(group, label, p, weight)
    assert numbers(parts[0] + parts[1]) == pytest.approx(numbers(whole), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=40)
@given(rows_of_clicks())
def test_whole_weights_equal_repeated_rows(metric, rows):
    label, p, weight, _ = rows
    repeated = metric().update(np.repeat(label, weight), np.repeat(p, weight))
    assert numbers(metric().update(label, p, weight)) == pytest.approx(numbers(repeated), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=40)
@given(rows_of_clicks())
def test_clicks_of_impressions_equal_the_rows_they_stand_for(metric, rows):
    label, p, weight, _ = rows
    clicks, impressions = weight * label, weight + 1
    labels = np.concatenate([np.arange(n) < k for k, n in zip(clicks, impressions, strict=True)])
    single = metric().update(labels, np.repeat(p, impressions))
    aggregated = metric().update_counts(clicks, impressions, p)
    assert numbers(aggregated) == pytest.approx(numbers(single), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("metric", PEERS)
def test_metric_equals_scikit_learn(metric):
    rng = np.random.default_rng(1)
    p = (1 / (1 + np.exp(-rng.normal(-2, 1.5, 5000)))).round(3).clip(0.001, 0.999)
    label, weight = rng.random(5000) < p, rng.random(5000)
    for options in ({}, {"sample_weight": weight}):
        found = metric().update(label, p, options.get("sample_weight")).value()
        assert found == pytest.approx(PEERS[metric](label, p, **options), abs=1e-12)


def test_the_root_of_the_squared_error_is_its_rmse():
    state = SquaredError().update([1, 0, 0], [0.9, 0.2, 0.4], [1, 1, 2])
    assert state.value() == pytest.approx((0.01 + 0.04 + 2 * 0.16) / 4, abs=1e-15)
    assert state.rmse() == pytest.approx(math.sqrt(state.value()))
    assert math.isnan(SquaredError().rmse())


@pytest.mark.parametrize("metric", [LogLoss, NormalizedEntropy, ScoreHistogram])
def test_logits_say_the_same_as_their_probabilities(metric):
    rng = np.random.default_rng(2)
    logit = rng.normal(-2, 2, 3000)
    label, weight = rng.random(3000) < 0.2, rng.random(3000)
    by_logit = metric().update_logits(label, logit, weight)
    by_probability = metric().update(label, 1 / (1 + np.exp(-logit)), weight)
    assert numbers(by_logit) == pytest.approx(numbers(by_probability), rel=1e-10)


@pytest.mark.parametrize(
    ("clicks", "impressions", "message"),
    [
        ([3], [2], "clicks: expected at most the impressions of the row, received 3.0 at row 0"),
        ([-1], [2], "weight: expected a finite value >= 0"),
        ([1], [np.nan], "weight: expected a finite value >= 0"),
        ([1, 1], [2], r"weight: expected shape \(1,\)"),
        ([1], 2, r"impressions: expected shape \(B,\)"),
    ],
)
def test_counts_that_cannot_be_are_named(clicks, impressions, message):
    with pytest.raises(InputError, match=message):
        Pcoc().update_counts(clicks, impressions, [0.1])
