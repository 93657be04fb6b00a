"""Temperature, Platt scaling and beta against scikit-learn's logistic regression, and what each can mend."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from pnn_gluon.evaluation.calibration import calibration_note, fit_calibrator, uncalibratable
from pnn_gluon.evaluation.calibration_rows import CalibrationRows
from pnn_gluon.evaluation.calibrators import BetaCalibration, beta_parts, on_grid
from pnn_gluon.evaluation.isotonic import fit_isotonic
from pnn_gluon.evaluation.log_odds import log_odds, sigmoid
from pnn_gluon.evaluation.logistic_fit import LEAST_SLOPE, SLOPE_CLICKS
from tests.evaluation.test_calibration import METHODS, clicks


def beta_logit(x, a, b, shift):
    q = sigmoid(x)
    return a * np.log(q) - b * np.log1p(-q) + shift


def beta_clicks(rows, seed=5, a=1.2, b=0.3, shift=0.4):
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2, rows)
    return logit, (rng.random(rows) < sigmoid(beta_logit(logit, a, b, shift))).astype(np.int8)


def by_scikit_learn(columns, label, intercept=True):
    """Without a penalty, against smoothed targets: each row once as a click, once as none, so weighted."""
    clicked = label.sum()
    target = np.where(label == 1, (clicked + 1) / (clicked + 2), 1 / (label.size - clicked + 2))
    twice, weight = np.tile(np.column_stack(columns), (2, 1)), np.concatenate((target, 1 - target))
    model = LogisticRegression(C=np.inf, fit_intercept=intercept, solver="newton-cholesky", tol=1e-12)
    model.fit(twice, np.repeat([1, 0], label.size), sample_weight=weight)
    return [*model.coef_[0], *model.intercept_]


@pytest.mark.parametrize(("scale", "shift"), [(0.6, 0.4), (1.7, -1.0)])
def test_platt_is_a_logistic_regression(scale, shift):
    logit, label = clicks(3000, scale=scale, shift=shift)
    fitted = fit_calibrator("platt", logit, label)
    np.testing.assert_allclose([fitted.scale, fitted.shift], by_scikit_learn([logit], label), rtol=1e-6)


@pytest.mark.parametrize("scale", [0.4, 1.6])
def test_temperature_is_a_logistic_regression_without_a_shift(scale):
    logit, label = clicks(3000, scale=scale)
    fitted = fit_calibrator("temperature", logit, label)
    (expected, _) = by_scikit_learn([logit], label, intercept=False)
    assert (fitted.scale, fitted.shift) == (pytest.approx(expected, rel=1e-6), 0)
    assert fitted.scale == pytest.approx(scale, abs=0.1)


def test_beta_is_a_logistic_regression_on_the_logarithms_of_q_and_of_its_rest():
    logit, label = beta_clicks(5000)
    fitted = fit_calibrator("beta", logit, label)
    found = [fitted.a, fitted.b, fitted.shift]
    np.testing.assert_allclose(found, by_scikit_learn([np.log(sigmoid(logit)), np.log1p(np.exp(logit))], label), 1e-6)
    np.testing.assert_allclose(found, [1.2, 0.3, 0.4], atol=0.2)
    np.testing.assert_allclose(fitted.logit(logit), beta_logit(logit, *found), rtol=1e-9, atol=1e-11)


def test_isotonic_is_that_of_scikit_learn_inside_its_outer_blocks():
    logit, label = clicks(4000, decimals=2)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(logit, label).predict(logit)
    ours = fit_isotonic(CalibrationRows.of(logit, label)).probability(logit)
    inside = (theirs > theirs.min()) & (theirs < theirs.max())
    assert inside.sum() > 3000
    np.testing.assert_allclose(ours[inside], theirs[inside], rtol=1e-6)  # theirs keeps float32 sums within blocks


@pytest.mark.parametrize(("a", "b"), [(-0.5, 1.0), (1.0, -0.5), (-0.5, -0.5)])
def test_beta_that_would_fall_is_refitted_with_its_least_slopes(a, b):
    logit, label = beta_clicks(5000, a=a, b=b)
    fitted = fit_calibrator("beta", logit, label)
    assert LEAST_SLOPE in (fitted.a, fitted.b)
    assert (a > 0) == (fitted.a > LEAST_SLOPE)
    assert (b > 0) == (fitted.b > LEAST_SLOPE)
    clicked, others = label.sum(), label.size - label.sum()
    smoothed = clicked * (clicked + 1) / (clicked + 2) + others / (others + 2)
    assert fitted.probability(logit).sum() == pytest.approx(smoothed, rel=1e-9)
    assert (np.diff(fitted.probability(np.sort(logit))) > 0).all()


def test_beta_goes_on_gently_beyond_its_rows():
    line = BetaCalibration(a=0.2, b=5.0, shift=0.0, low=-4.0, high=3.0)
    below, low, high, above = line.logit([-14.0, -4.0, 3.0, 13.0])
    mean = (high - low) / 7
    at_low = 0.2 * sigmoid(4.0) + 5.0 * sigmoid(-4.0)
    assert at_low < mean < 0.2 * sigmoid(-3.0) + 5.0 * sigmoid(3.0)
    assert (low - below) / 10 == pytest.approx(at_low, rel=1e-12)
    assert (above - high) / 10 == pytest.approx(mean, rel=1e-12)


def test_beta_of_equal_logits_answers_the_rate():
    fitted = fit_calibrator("beta", np.full(200, -1.0), np.tile([0, 0, 0, 1], 50))
    assert fitted.probability([-1.0]) == pytest.approx([(50 * 51 / 52 + 150 / 152) / 200], rel=1e-9)
    assert (np.diff(fitted.logit([-3.0, -1.0, 1.0])) > 0).all()


def test_a_model_that_ranks_by_chance_keeps_its_ranks_by_temperature():
    rng = np.random.default_rng(0)
    logit, label = rng.normal(0, 1, 400), np.tile([0, 1], 200)
    found = fit_calibrator("temperature", logit[np.argsort(logit)][::-1], np.sort(label)).probability(np.sort(logit))
    assert (np.diff(found) > 0).all()
    assert np.abs(found - 0.5).max() < 0.02


@pytest.mark.parametrize("method", [*METHODS, "auto"])
def test_few_clicks_move_the_level_only(method):
    logit, label = clicks(400)[0], np.zeros(400)
    label[: SLOPE_CLICKS - 1] = 1
    assert fit_calibrator(method, logit, label) == fit_calibrator("platt", logit, label)
    assert fit_calibrator(method, logit, label).scale == 1
    note = "only the level was calibrated: 9 rows of the rarer class, a slope needs 10"
    assert calibration_note(method, label) == note


@pytest.mark.parametrize("method", [*METHODS, "auto"])
@pytest.mark.parametrize("rows", [150, 2000])
def test_weights_equal_repeated_rows(method, rows):
    logit, label = clicks(rows, decimals=2)
    times = np.random.default_rng(2).integers(0, 5, rows)
    weighted = fit_calibrator(method, logit, label, weight=times)
    repeated = fit_calibrator(method, np.repeat(logit, times), np.repeat(label, times))
    assert type(weighted) is type(repeated)
    grid = np.linspace(-8, 4, 200)
    np.testing.assert_allclose(weighted.logit(grid), repeated.logit(grid), rtol=1e-7, atol=1e-7)


def test_weights_of_one_change_no_byte_and_fractions_scale():
    logit, label = clicks(2000)
    assert fit_calibrator("isotonic", logit, label, weight=np.ones(2000)) == fit_calibrator("isotonic", logit, label)
    halves = fit_calibrator("platt", np.tile(logit, 2), np.tile(label, 2), weight=np.full(4000, 0.5))
    assert halves.scale == pytest.approx(fit_calibrator("platt", logit, label).scale, rel=1e-9)


def test_weights_count_as_rows_and_clicks():
    label, weight = np.array([0, 1]), np.array([500, 9])
    assert uncalibratable("platt", label)
    assert not uncalibratable("platt", label, weight)
    assert calibration_note("platt", label, weight=weight).startswith("only the level was calibrated: 9 rows")
    assert calibration_note("platt", label, weight=weight + 1) == ""
    fitted = fit_calibrator("platt", [-1.0, 0.0], label, weight=weight)
    assert fitted.scale == 1


def test_parts_of_beta_add_up_to_the_logit_at_any_magnitude():
    logit = np.array([-800.0, -30.0, -1.0, 0.0, 2.0, 40.0, 800.0])
    rising, steepening = beta_parts(logit)
    np.testing.assert_allclose(rising + steepening, logit, rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(log_odds(np.exp(rising[1:5])), logit[1:5], rtol=1e-12, atol=1e-12)
    assert steepening[0] == 0


def test_the_grid_of_beta_keeps_float32_logits_apart():
    near_zero = np.float32(2.0**-17) * np.arange(1, 2, 2.0**-23, dtype=np.float32)[:1000]
    assert np.unique(on_grid(near_zero)).size == 1000
    assert (on_grid(near_zero) == near_zero).all()


def test_the_level_is_found_from_logits_whose_probability_rounds_to_one():
    logit, label = np.linspace(60, 80, 100), np.repeat([1, 0], [5, 95])
    found = fit_calibrator("platt", logit, label).probability(logit)
    assert found.sum() == pytest.approx(5 * 6 / 7 + 95 / 97, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_two_distinct_logits_leave_beta_open_and_get_platt_scaling(seed):
    rng = np.random.default_rng(seed)
    logit = rng.choice([-3.0, 2.0], 300)
    label = rng.random(300) < sigmoid(0.5 * logit)
    np.testing.assert_allclose(
        fit_calibrator("beta", logit, label).logit([-3.0, 2.0]),
        fit_calibrator("platt", logit, label).logit([-3.0, 2.0]),
        atol=1e-6,
    )
    assert np.isfinite(fit_calibrator("auto", logit, label, min_clicks=1).logit([-3.0, 2.0])).all()


def test_temperature_of_nearly_equal_logits_does_not_explode():
    logit = -2 + np.tile([0.0, 1e-13], 100)
    label = np.tile([0, 0, 1, 1, 0], 40)
    assert fit_calibrator("temperature", logit, label).scale < 10
    assert (fit_calibrator("temperature", -logit, label).scale, LEAST_SLOPE) == (0.01, 0.01)
