"""The sampling correction, and calibrators that keep order, ignore row order and survive JSON."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.calibration import (
    CannotCalibrate,
    calibration_note,
    correct_sampling,
    fit_calibrator,
    uncalibratable,
)
from pnn_gluon.evaluation.calibration_rows import CalibrationRows
from pnn_gluon.evaluation.calibrators import (
    IsotonicCalibration,
    NoCalibration,
    PlattCalibration,
    RisingCalibration,
    calibrator_from_dict,
)
from pnn_gluon.evaluation.isotonic import fit_isotonic
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.logistic_fit import SLOPE_CLICKS
from pnn_gluon.evaluation.metrics import Auc, LogLoss, Pcoc

METHODS = ("isotonic", "beta", "platt", "temperature")


def clicks(rows, seed=0, scale=1.0, shift=0.0, decimals=6):
    rng = np.random.default_rng(seed)
    logit = rng.normal(-2, 1.5, rows).round(decimals)
    return logit, (rng.random(rows) < sigmoid(scale * logit + shift)).astype(np.int8)


def isotonic_by_min_max(level, weight):
    """max over i <= k of min over j >= k of the weighted mean of i..j: the definition of the isotonic fit."""
    size = len(level)
    mean = [
        [np.average(level[i : j + 1], weights=weight[i : j + 1]) if i <= j else 0 for j in range(size)]
        for i in range(size)
    ]
    return [max(min(mean[i][j] for j in range(k, size)) for i in range(k + 1)) for k in range(size)]


@given(st.floats(1e-4, 1.0), st.floats(1e-6, 1 - 1e-6))
def test_sampling_correction_is_the_exact_formula(rate, q):
    p = q * rate / (1 - q * (1 - rate))
    corrected = sigmoid(correct_sampling(np.log(q) - np.log1p(-q), rate))
    assert corrected == pytest.approx(p, rel=1e-12)


def test_sampling_correction_holds_at_extreme_logits():
    np.testing.assert_allclose(sigmoid(correct_sampling([-600.0], 0.1)), np.exp(-600.0) * 0.1, rtol=1e-12)
    assert correct_sampling(np.float32([1.5]), 1.0).dtype == np.float64
    assert correct_sampling([1.5, -700.0], 1.0).tolist() == [1.5, -700.0]


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1, float("nan")])
def test_impossible_rate_is_refused(rate):
    with pytest.raises(InputError, match="sampling rate: expected 0 < rate <= 1"):
        correct_sampling([0.0], rate)


def test_sigmoid_neither_overflows_nor_loses_small_values():
    with np.errstate(all="raise", under="ignore"):
        found = sigmoid([-1000.0, -700.0, 0.0, 40.0, 1000.0])
    np.testing.assert_allclose(found, [0.0, np.exp(-700.0), 0.5, 1.0, 1.0], rtol=1e-14)


def test_down_sampled_training_is_calibrated_only_after_correction():
    rng = np.random.default_rng(7)
    x, rate = rng.normal(size=200_000), 0.1
    label = rng.random(x.size) < sigmoid(x - 3)
    kept = label | (rng.random(x.size) < rate)
    model = fit_calibrator("platt", x[kept], label[kept])  # a logistic regression on the down-sampled rows
    q = model.probability(x)
    p = sigmoid(correct_sampling(np.log(q) - np.log1p(-q), rate))
    assert Pcoc().update(label, q).value() > 3
    assert Pcoc().update(label, p).value() == pytest.approx(1, abs=0.02)


def test_platt_finds_the_minimum_of_the_smoothed_loss():
    logit, label = clicks(3000, scale=0.6, shift=0.4)
    fitted = fit_calibrator("platt", logit, label)
    clicked = label.sum()
    target = np.where(label == 1, (clicked + 1) / (clicked + 2), 1 / (label.size - clicked + 2))
    residual = sigmoid(fitted.scale * logit + fitted.shift) - target
    assert abs(residual.mean()) < 1e-12  # both derivatives are zero at the minimum
    assert abs((residual * logit).mean()) < 1e-12
    assert fitted.scale == pytest.approx(0.6, abs=0.1)
    assert fitted.shift == pytest.approx(0.4, abs=0.2)


def test_platt_agrees_with_scikit_learn():
    from sklearn.calibration import _SigmoidCalibration

    logit, label = clicks(2000, scale=1.7)
    theirs = _SigmoidCalibration().fit(logit, label).predict(logit)
    np.testing.assert_allclose(fit_calibrator("platt", logit, label).probability(logit), theirs, rtol=1e-3)


def test_platt_stays_finite_on_separable_rows_and_on_equal_logits():
    label = np.repeat([0, 1], 50)
    separable = fit_calibrator("platt", np.linspace(-1, 1, 100), label)
    assert LogLoss().update(label, separable.probability(np.linspace(-1, 1, 100))).value() < 0.2
    np.testing.assert_allclose(fit_calibrator("platt", np.full(100, 3.0), label).probability([3.0]), 0.5)


def test_platt_of_a_backward_model_keeps_its_ranks_at_the_smoothed_rate():
    logit = np.linspace(-1, 1, 100)
    label = (logit < -0.5).astype(int)
    fitted = fit_calibrator("platt", logit, label)
    clicked = label.sum()
    target = (clicked * (clicked + 1) / (clicked + 2) + (100 - clicked) / (102 - clicked)) / 100
    assert 0 < fitted.scale < 0.02
    found = fitted.probability(logit)
    assert (np.diff(found) > 0).all()
    assert found.mean() == pytest.approx(target, rel=1e-12)


def test_platt_of_few_clicks_moves_the_level_only():
    logit, _ = clicks(400)
    label = np.zeros(400)
    label[:9] = 1
    fitted = fit_calibrator("platt", logit, label)
    assert fitted.scale == 1
    assert fitted.probability(logit).sum() == pytest.approx(9 * 10 / 11 + 391 / 393, rel=1e-9)


def test_isotonic_equals_its_min_max_definition_inside_the_outer_blocks():
    logit, label = clicks(150, decimals=0)
    values = np.unique(logit)
    rows = np.array([(logit == v).sum() for v in values])
    level = np.array([label[logit == v].mean() for v in values])
    expected = np.array(isotonic_by_min_max(level, rows))
    found = fit_isotonic(CalibrationRows.of(logit, label)).probability(values)
    inside = (expected > 0) & (expected < 1)
    assert inside.sum() >= 3
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-12)


def test_isotonic_smooths_only_certain_outer_blocks():
    logit = np.repeat([0.0, 1.0, 2.0], [40, 40, 40])
    label = np.concatenate((np.zeros(40), np.tile([0, 1], 20), np.ones(40)))
    found = fit_isotonic(CalibrationRows.of(logit, label)).probability([0.0, 1.0, 2.0])
    np.testing.assert_allclose(found, [0.5 / 41, 0.5, 40.5 / 41], rtol=1e-15)


def test_isotonic_smoothing_never_passes_the_neighbouring_block():
    logit = np.repeat([0.0, 1.0, 2.0], [1, 1000, 1])
    label = np.zeros(1002)
    label[[1, 1001]] = 1  # 0 of 1, 1 of 1000, 1 of 1
    found = fit_isotonic(CalibrationRows.of(logit, label)).probability([0.0, 1.0, 2.0])
    np.testing.assert_allclose(found, [0.001, 0.001, 0.75], rtol=1e-15)


def test_isotonic_interpolates_between_blocks_and_is_constant_outside():
    logit = np.repeat([0.0, 2.0], 100)
    label = np.concatenate((np.arange(100) < 10, np.arange(100) < 50)).astype(int)
    found = fit_isotonic(CalibrationRows.of(logit, label)).probability([-9.0, 0.0, 0.5, 1.0, 2.0, 9.0])
    np.testing.assert_allclose(found, [0.1, 0.1, 0.2, 0.3, 0.5, 0.5], rtol=1e-15)


def test_isotonic_predicts_as_many_clicks_as_there_were():
    logit, label = clicks(20_000, scale=0.5, shift=-1)
    plain = fit_isotonic(CalibrationRows.of(logit, label))
    assert abs(plain.probability(logit).sum() - label.sum()) <= 1  # half a click for each smoothed outer block
    fitted = fit_calibrator("isotonic", logit, label)
    assert fitted.probability(logit).sum() == pytest.approx(label.sum(), rel=1e-9)


@pytest.mark.parametrize(("rows", "method"), [(34_000, "isotonic"), *((3000, method) for method in (*METHODS, "auto"))])
@pytest.mark.parametrize("shift", [-5.5, -3.0, 0.0])
def test_calibration_merges_no_ranks(rows, method, shift):
    rng = np.random.default_rng(rows)
    logit = rng.normal(-2, 1.5, rows).astype(np.float32)
    label = rng.random(rows) < sigmoid(0.7 * logit + shift)
    fitted = fit_calibrator(method, logit, label)
    fresh = np.unique(np.concatenate((logit, rng.normal(-2, 4, rows).astype(np.float32))))  # also beyond the fit
    assert np.unique(fitted.probability(fresh)).size == fresh.size
    assert Auc().update(label, fitted.probability(logit)).value() == Auc().update(label, logit).value()


def test_isotonic_of_few_clicks_is_platt_and_says_so():
    logit, label = clicks(4000, shift=-3.5)
    few = int(label.sum())
    assert SLOPE_CLICKS < few < 100
    assert fit_calibrator("isotonic", logit, label) == fit_calibrator("platt", logit, label)
    note = calibration_note("isotonic", label)
    assert note == f"platt in place of isotonic: {few} rows of the rarer class, calibration.min_clicks is 100"
    assert calibration_note("platt", label) == ""
    assert isinstance(fit_calibrator("isotonic", logit, label, min_clicks=few), RisingCalibration)
    assert calibration_note("isotonic", label, min_clicks=few) == ""
    assert calibration_note("isotonic", label[:0]).startswith("only the level was calibrated: 0 rows")


def test_isotonic_goes_over_from_platt_to_its_blocks_as_clicks_grow():
    logit, label = clicks(20_000)
    blocks = fit_isotonic(CalibrationRows.of(logit, label)).logit(logit)
    line = fit_calibrator("platt", logit, label).logit(logit)
    distance = [
        np.mean(np.abs(fit_calibrator("isotonic", logit, label, clicks_of_platt).logit(logit) - blocks))
        for clicks_of_platt in (10, 1000, int(label.sum()))
    ]
    assert distance[0] < 0.05 * distance[2]
    assert distance[0] < distance[1] < distance[2] == pytest.approx(np.mean(np.abs(line - blocks)), rel=0.01)


def test_isotonic_beyond_its_rows_goes_on_gently():
    logit, label = clicks(20_000)
    fitted = fit_calibrator("isotonic", logit, label)
    ends = np.array([logit.min() - 5, logit.min(), logit.max(), logit.max() + 5])
    low, first, last, high = fitted.logit(ends)
    assert 0 < first - low == pytest.approx(5 * fitted.slope)
    assert 0 < high - last == pytest.approx(5 * fitted.slope)
    assert fitted.slope < 0.1


def test_calibrators_mend_a_distorted_model_on_new_rows():
    logit, label = clicks(30_000, seed=1, scale=0.5, shift=-1)
    fresh, clicked = clicks(30_000, seed=2, scale=0.5, shift=-1)
    raw = LogLoss().update(clicked, sigmoid(fresh)).value()
    ideal = LogLoss().update(clicked, sigmoid(0.5 * fresh - 1)).value()
    for method in ("isotonic", "platt", "beta", "auto"):
        mended = LogLoss().update(clicked, fit_calibrator(method, logit, label).probability(fresh)).value()
        assert mended - ideal < 0.05 * (raw - ideal)


def test_interpolation_never_rounds_above_the_next_point():
    just_below = np.nextafter(1e-9, -1)  # so near that the share of the way to the next point rounds to 1
    for low, high in np.sort(np.random.default_rng(3).uniform(0.001, 0.9, (300, 2))):
        line = IsotonicCalibration((-1.0, 1e-9), (low, high))
        assert line.probability(just_below) <= line.probability(1e-9) == high


def test_logits_of_less_precision_are_calibrated_as_the_same_numbers():
    line = IsotonicCalibration((-1.1, 0.3, 2.7), (0.1, 0.2, 0.9))  # knots that float32 does not have
    logit = np.linspace(-3, 4, 1000, dtype=np.float32)
    np.testing.assert_array_equal(line.probability(logit), line.probability(logit.astype(np.float64)))


fits = st.tuples(st.sampled_from([*METHODS, "auto"]), st.integers(0, 10_000), st.integers(0, 12))


@given(fits)
@settings(max_examples=60)
def test_order_is_never_reversed_and_probabilities_stay_inside(drawn):
    method, seed, decimals = drawn
    logit, label = clicks(200, seed, scale=0.3, decimals=decimals)
    fitted = fit_calibrator(method, logit, label)
    near = np.concatenate((logit, np.nextafter(logit, 9), np.nextafter(logit, -9), np.linspace(-50, 30, 500)))
    found = fitted.probability(np.sort(near))
    assert (np.diff(found) >= 0).all()
    assert ((found > 0) & (found < 1)).all()


@given(fits)
@settings(max_examples=30)
def test_row_order_does_not_change_a_byte(drawn):
    method, seed, decimals = drawn
    logit, label = clicks(200, seed, decimals=decimals)
    mixed = np.random.default_rng(seed).permutation(200)
    first, second = fit_calibrator(method, logit, label), fit_calibrator(method, logit[mixed], label[mixed])
    assert json.dumps(first.to_dict()) == json.dumps(second.to_dict())


def test_both_zeros_are_one_logit():
    logit = np.concatenate(([0.0, -0.0] * 30, np.linspace(1, 2, 60)))
    label = np.tile([0, 1], 60)
    orders = (np.arange(120), np.arange(120)[::-1])
    first, second = (json.dumps(fit_calibrator("isotonic", logit[o], label[o], 20).to_dict()) for o in orders)
    assert first == second
    assert "-0.0," not in first


@pytest.mark.parametrize("method", [*METHODS, "none"])
def test_calibrator_survives_json_bit_for_bit(method):
    logit, label = clicks(5000)
    fitted = fit_calibrator(method, logit, label)
    again = calibrator_from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    assert again == fitted
    assert again.probability(logit).tobytes() == fitted.probability(logit).tobytes()


def test_probability_keeps_the_shape_and_float64():
    logit, label = clicks(500)
    for method, shape in itertools.product((*METHODS, "none"), ((), (3,), (2, 3))):
        found = fit_calibrator(method, logit, label).probability(np.zeros(shape, np.float32))
        assert np.shape(found) == shape
        assert found.dtype == np.float64


def test_no_calibration_is_the_sigmoid_and_needs_no_rows():
    fitted = fit_calibrator("none", [], [])
    assert fitted == NoCalibration()
    np.testing.assert_allclose(fitted.probability([-2.0, 0.0]), [1 / (1 + np.exp(2)), 0.5], rtol=1e-15)


@pytest.mark.parametrize("method", [*METHODS, "auto"])
@pytest.mark.parametrize(
    ("rows", "label", "message"),
    [
        (19, 1, "cannot be calibrated: 19 clicks, 0 non-clicks; expected at least one of each and 20 rows: take a"),
        (200, 0, "cannot be calibrated: 0 clicks, 200 non-clicks; .* larger calibrate share or window, or calibration"),
        (200, 1, "cannot be calibrated: 200 clicks, 0 non-clicks"),
    ],
)
def test_rows_that_cannot_be_fitted_are_refused_with_advice(method, rows, label, message):
    with pytest.raises(CannotCalibrate, match=message):
        fit_calibrator(method, np.linspace(-1, 1, rows), np.full(rows, label))
    assert uncalibratable(method, np.full(rows, label))
    assert not uncalibratable("none", np.full(rows, label))
    assert not uncalibratable(method, [0, 1] * 10)


def test_unknown_method_and_bad_logits_are_refused():
    with pytest.raises(InputError, match="temperature, none, auto, received 'spline'"):
        fit_calibrator("spline", [0.0], [1])
    with pytest.raises(InputError, match="logit: expected a finite number"):
        fit_calibrator("platt", [np.nan] * 30, [0, 1] * 15)


@pytest.mark.parametrize(
    "description",
    [
        {},
        {"method": "spline"},
        {"method": "beta"},
        {"method": "beta", "a": 1.0, "b": 0.0, "shift": 0.0, "low": -1.0, "high": 1.0},
        {"method": "beta", "a": float("inf"), "b": 1.0, "shift": 0.0, "low": -1.0, "high": 1.0},
        {"method": "beta", "a": 1.0, "b": 1.0, "shift": float("nan"), "low": -1.0, "high": 1.0},
        {"method": "beta", "a": 1.0, "b": 1.0, "shift": 0.0, "low": 1.0, "high": -1.0},
        {"method": "platt", "scale": 1.0},
        {"method": "isotonic", "logit": [0.0, 1.0], "probability": [0.5, 0.4]},
        {"method": "isotonic", "logit": [1.0, 1.0], "probability": [0.4, 0.5]},
        {"method": "isotonic", "logit": [0.0, 1.0], "probability": [0.0, 0.5]},
        {"method": "isotonic", "logit": [], "probability": []},
        {"method": "isotonic", "logit": [0.0, 1.0], "calibrated_logit": [0.5, 0.4], "slope": 0.1},
        {"method": "isotonic", "logit": [0.0, 1.0], "calibrated_logit": [0.4, 0.5], "slope": -0.1},
        {"method": "isotonic", "logit": [0.0, 1.0], "calibrated_logit": [0.4, float("inf")], "slope": 0.1},
        {"method": "isotonic", "logit": [0.0, 1.0], "calibrated_logit": [0.4, 0.5]},
        {"method": "platt", "scale": -0.5, "shift": 0.0},
        {"method": "platt", "scale": float("nan"), "shift": 0.0},
        {"method": "platt", "scale": 1.0, "shift": float("inf")},
    ],
)
def test_broken_description_is_refused(description):
    with pytest.raises(InputError, match=r"calibrator: .*calibrate the model again"):
        calibrator_from_dict(description)


def test_a_broken_description_is_shown():
    with pytest.raises(InputError, match=r"KeyError\('shift'\) in \{'method': 'platt', 'scale': 1\.0\}; calibrate"):
        calibrator_from_dict({"method": "platt", "scale": 1.0})


def test_descriptions_name_their_method():
    assert PlattCalibration(1.5, -0.5).to_dict() == {"method": "platt", "scale": 1.5, "shift": -0.5}
    rising = RisingCalibration((0.0, 1.0), (-3.0, -2.0), 0.1).to_dict()
    assert rising == {"method": "isotonic", "logit": [0.0, 1.0], "calibrated_logit": [-3.0, -2.0], "slope": 0.1}
    described = IsotonicCalibration((0.0, 1.0), (0.1, 0.2)).to_dict()
    assert described == {"method": "isotonic", "logit": [0.0, 1.0], "probability": [0.1, 0.2]}


def test_calibrator_of_an_earlier_release_answers_as_it_did():
    read = calibrator_from_dict({"method": "isotonic", "logit": [0.0, 2.0], "probability": [0.1, 0.5]})
    assert read.probability([-9.0, 0.5, 9.0]).tolist() == [0.1, pytest.approx(0.2, rel=1e-15), 0.5]
    np.testing.assert_allclose(sigmoid(read.logit([-9.0, 0.5, 9.0])), [0.1, 0.2, 0.5], rtol=1e-14)


@pytest.mark.parametrize("method", [*METHODS, "none"])
def test_probability_is_that_of_the_calibrated_logit(method):
    logit, label = clicks(5000)
    fitted = fit_calibrator(method, logit, label)
    assert fitted.probability(logit).tobytes() == sigmoid(fitted.logit(logit)).tobytes()


def test_a_line_of_one_point_is_read():
    description = {"method": "isotonic", "logit": [0.5], "calibrated_logit": [-3.0], "slope": 0.1}
    assert calibrator_from_dict(description).logit([0.5, 1.5]).tolist() == [-3.0, pytest.approx(-2.9)]


def test_no_calibration_answers_float64_too():
    assert NoCalibration().logit(np.float32([0.1])).dtype == np.float64
