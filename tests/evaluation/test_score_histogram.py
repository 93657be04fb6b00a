"""What a fixed number of bins says of any number of rows, and how far off that is at most."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.evaluation.auc import Auc
from pnn_gluon.evaluation.score_histogram import CELLS, PER_LOGIT, REACH, ScoreHistogram, score_cells
from pnn_gluon.evaluation.squared_error import SquaredError


def clicks(rows, seed=0, mean=-3.0, spread=1.5):
    rng = np.random.default_rng(seed)
    logit = rng.normal(mean, spread, rows)
    return (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int8), logit


def equal_mass_ece(label, p, weight, bins):
    """By sorted rows, each row divided between bins where a cut falls into it."""
    order = np.argsort(p, kind="stable")
    edges = np.concatenate(([0], np.cumsum(weight[order]))) / weight.sum()
    gap = np.concatenate(([0], np.cumsum((weight * (p - label))[order])))
    at = np.interp(np.arange(bins + 1) / bins, edges, gap)
    return np.abs(np.diff(at)).sum() / weight.sum()


@pytest.mark.parametrize("spread", [0.01, 1.5, 8.0])
def test_streaming_auc_is_within_its_bound_of_the_exact_one(spread):
    label, logit = clicks(20_000, spread=spread)
    found, exact = ScoreHistogram().update_logits(label, logit).auc(), Auc().update(label, logit).value()
    assert abs(found.value - exact) <= found.bound
    assert found.bound < {0.01: 0.1, 1.5: 2e-4, 8.0: 2e-3}[spread]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.floats(-20, 20)), min_size=2, max_size=30))
def test_the_bound_holds_for_any_rows(rows):
    label, logit = np.array(rows).T
    found, exact = ScoreHistogram().update_logits(label, logit).auc(), Auc().update(label, logit).value()
    assert math.isnan(exact) == math.isnan(found.value)
    assert math.isnan(exact) or abs(found.value - exact) <= found.bound + 1e-12


def test_a_bin_is_a_thousandth_of_a_logit_and_the_ends_are_open():
    step = 1 / PER_LOGIT
    cells = score_cells(np.array([-1e9, -REACH - step, -REACH, -REACH + step, 0, REACH - step, REACH, 1e9]))
    middle = REACH * PER_LOGIT + 1
    assert cells.tolist() == [0, 0, 1, 2, middle, CELLS - 2, CELLS - 1, CELLS - 1]


def test_certain_probabilities_fall_into_the_open_bins():
    state = ScoreHistogram().update([0, 1], [0.0, 1.0])
    assert (state.auc().value, state.brier().value) == (1.0, 0.0)


@pytest.mark.parametrize("bins", [1, 7, 20])
def test_equal_mass_ece_is_within_its_bound_of_sorted_rows(bins):
    label, logit = clicks(5000)
    logit, weight = logit.round(2), np.random.default_rng(1).random(5000)
    p = 1 / (1 + np.exp(-logit - 0.3))
    found = ScoreHistogram().update(label, p, weight).ece(bins)
    assert abs(found.value - equal_mass_ece(label, p, weight, bins)) <= found.bound + 1e-12
    assert found.bound < 0.003 * bins


def test_ece_of_one_bin_is_the_distance_of_the_means():
    label, logit = clicks(1000)
    p = 1 / (1 + np.exp(-logit - 0.3))
    found = ScoreHistogram().update(label, p).ece(1)
    assert found.value == pytest.approx(abs(p.mean() - label.mean()), abs=1e-14)
    assert found.bound == 0


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.floats(0.1, 3)), min_size=1, max_size=30), st.integers(1, 6)
)
def test_the_parts_of_the_brier_score_add_up(rows, bins):
    label, p, weight = np.array(rows).T
    parts = ScoreHistogram().update(label, p, weight).brier(bins)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within_variance - parts.within_covariance
    assert parts.value == pytest.approx(SquaredError().update(label, p, weight).value(), abs=1e-12)
    assert parts.value == pytest.approx(total, abs=1e-12)


def test_brier_parts_are_what_they_are_called():
    p, label = np.repeat([0.1, 0.4], [10, 10]), np.array([1] * 2 + [0] * 8 + [1] * 4 + [0] * 6)
    parts = ScoreHistogram().update(label, p).brier(2)  # two bins of one probability each: 0.2 and 0.4 clicked
    assert parts.reliability == pytest.approx((0.1**2 + 0) / 2)
    assert parts.resolution == pytest.approx(0.1**2)
    assert parts.uncertainty == pytest.approx(0.3 * 0.7)
    assert [parts.within_variance, parts.within_covariance] == pytest.approx([0, 0], abs=1e-15)
    one = ScoreHistogram().update(label, p).brier(1)
    assert one.within_variance == pytest.approx(np.var(p))
    assert one.within_covariance == pytest.approx(2 * np.cov(p, label, ddof=0)[0, 1])


def test_no_rows_have_no_value():
    empty = ScoreHistogram()
    assert np.isnan([empty.value(), empty.auc().bound, empty.ece().value, *vars(empty.brier()).values()]).all()
