"""A calibrator by segment: as much apart from the whole as the segment's rows speak for."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.calibration import fit_calibrator
from pnn_gluon.evaluation.calibrators import NoCalibration, PlattCalibration
from pnn_gluon.evaluation.fitted_calibration import fit_calibration
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.segment_fit import LEAST_SCALE, fit_segments
from pnn_gluon.evaluation.segments import Calibration, RowSegments, Segments, calibration_from_dict

OTHER = 2


def drawn(shifts, rows, seed=0, scale=1.0):
    """Logits, labels and segments: segment s + 3 has the logit scale x + shifts[s]."""
    rng = np.random.default_rng(seed)
    of = rng.integers(0, len(shifts), rows)
    logit = rng.normal(-1.5, 1.2, rows)
    label = rng.random(rows) < sigmoid(scale * logit + np.asarray(shifts)[of])
    return logit, label, RowSegments("c3", (of + 3).astype(np.int32), OTHER)


def error_of(fit, shifts):
    """Root mean square of shifts found less true ones, at the logit -1.5."""
    found = np.asarray(fit.segments.scale) * -1.5 + np.asarray(fit.segments.shift) + 1.5
    return float(np.sqrt(np.mean((found - np.asarray(shifts)) ** 2)))


def test_a_segment_that_is_off_by_40_percent_is_mended_and_the_others_stay():
    shifts = [np.log(1.4), *np.zeros(19)]
    logit, label, segment = drawn(shifts, 100_000)
    fit = fit_segments(segment, logit, label)
    scale, shift = np.asarray(fit.segments.scale), np.asarray(fit.segments.shift)
    at_mean = scale * -1.5 + shift + 1.5
    assert at_mean[0] == pytest.approx(np.log(1.4), abs=0.1)
    assert np.abs(at_mean[1:]).max() < 0.1


def test_shifts_come_from_their_own_clicks_where_there_are_many_and_from_the_whole_where_there_are_few():
    rng = np.random.default_rng(1)
    shifts = rng.normal(0, 0.4, 200)
    whole = np.sqrt(np.mean(shifts**2))  # the error of shifts that are all 0
    few, many = (
        fit_segments(segment, logit, label) for logit, label, segment in (drawn(shifts, 4000), drawn(shifts, 400_000))
    )
    assert error_of(few, shifts) < whole  # 4 clicks a segment
    assert error_of(many, shifts) < 0.25 * whole
    assert many.shift_deviation == pytest.approx(0.4, rel=0.1)


def test_segments_that_do_not_differ_keep_to_the_whole():
    for segments in (5, 500):
        logit, label, segment = drawn(np.zeros(segments), 50_000)
        fit = fit_segments(segment, logit, label)
        assert error_of(fit, np.zeros(segments)) < 0.05
        assert fit.shift_deviation < 0.1


def test_slopes_are_fitted_where_there_are_clicks_enough():
    rng = np.random.default_rng(3)
    logit = rng.normal(-1, 1.5, 60_000)
    ids = rng.choice([3, 4, 5], 60_000, p=[0.5, 0.499, 0.001]).astype(np.int32)
    true_scale = np.array([1.4, 0.7, 0.2])[ids - 3]
    label = rng.random(60_000) < sigmoid(true_scale * (logit + 1) - 1)
    fit = fit_segments(RowSegments("c3", ids, OTHER), logit, label)
    np.testing.assert_allclose(fit.segments.scale, [1.4, 0.7, 1.0], atol=0.1)
    assert fit.segments.scale[2] == 1.0
    assert fit.slope_deviation == pytest.approx(0.35, abs=0.1)


def test_lines_are_where_the_penalized_likelihood_is_greatest():
    logit, label, segment = drawn([0.5, -0.5, 0.0, 0.2], 6000, scale=1.2)
    fit = fit_segments(segment, logit, label)
    for place, (scale, shift) in enumerate(zip(fit.segments.scale, fit.segments.shift, strict=True)):
        mine = segment.ids == place + 3
        u, y = logit[mine], label[mine]
        mean = u.mean()

        def loss(theta, u=u, y=y, mean=mean):
            z = u + theta[0] + theta[1] * (u - mean)
            penalty = (theta / [fit.shift_deviation, fit.slope_deviation]) ** 2 / 2
            return (np.logaddexp(0, z) - y * z).sum() + penalty.sum()

        best = minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-6}).x
        found = [shift + (scale - 1) * mean, scale - 1]
        np.testing.assert_allclose(found, best, atol=2e-4)


def test_unseen_and_other_segments_have_the_wholes_calibration():
    logit, label, segment = drawn([0.5, -0.5], 5000)
    rare = RowSegments("c3", np.where(np.arange(5000) < 500, OTHER, segment.ids).astype(np.int32), OTHER)
    calibration = fit_calibration("platt", logit, label, segment=rare).calibration
    x = np.linspace(-4, 2, 7)
    for unseen in (OTHER, 0, 1, 99, 2**31 - 1):
        asked = RowSegments("c3", np.full(7, unseen, np.int32), OTHER)
        np.testing.assert_array_equal(calibration.probability(x, asked), calibration.whole.probability(x))
    known = calibration.probability(x, RowSegments("c3", np.full(7, 3, np.int32), OTHER))
    assert (known > calibration.whole.probability(x)).all()


def test_the_largest_segments_are_carried_and_the_rest_is_said():
    ids = np.repeat([7, 3, 9, 5, 4], [100, 300, 200, 200, 50]).astype(np.int32)
    label = np.arange(ids.size) % 3 == 0
    fit = fit_segments(RowSegments("c3", ids, OTHER), np.zeros(ids.size), label, most=3)
    assert (fit.segments.ids, fit.pooled) == ((3, 5, 9), 2)
    tied = fit_segments(RowSegments("c3", ids, OTHER), np.zeros(ids.size), label, most=2)
    assert tied.segments.ids == (3, 5)
    many = np.arange(3, 2003, dtype=np.int32).repeat(2)
    notes = fit_calibration(
        "platt", np.linspace(-1, 1, 4000), np.tile([0, 0, 1], 2000)[:4000], segment=RowSegments("c3", many, OTHER)
    ).notes
    assert notes == ("of c3 the 1,000 values of most rows are calibrated apart, 1,000 are not",)


def test_a_million_segments_are_bounded():
    rng = np.random.default_rng(0)
    ids = rng.permutation(1_000_000).astype(np.int32) + 3
    fit = fit_segments(RowSegments("c3", ids, OTHER), rng.normal(size=ids.size), rng.random(ids.size) < 0.1)
    assert (len(fit.segments.ids), fit.pooled) == (1000, 999_000)
    assert len(json.dumps(Calibration(NoCalibration(), fit.segments).to_dict())) < 100_000


def test_rows_without_a_segment_of_their_own_leave_the_whole():
    segment = RowSegments("c3", np.full(200, OTHER, np.int32), OTHER)
    fitted = fit_calibration("platt", np.linspace(-1, 1, 200), np.tile([0, 1], 100), segment=segment)
    assert fitted.calibration.segments == Segments("c3", (), (), ())
    x = np.linspace(-1, 1, 200)
    np.testing.assert_array_equal(fitted.calibration.probability(x, segment), fitted.calibration.whole.probability(x))


@given(st.integers(0, 1000), st.sampled_from(["isotonic", "platt", "beta", "auto"]))
@settings(max_examples=8)
def test_row_order_does_not_change_a_byte_and_ranks_within_a_segment_stay(seed, method):
    logit, label, segment = drawn([1.0, -2.0, 0.0, 0.0], 1500, seed)
    logit = logit.astype(np.float32)
    mixed = np.random.default_rng(seed).permutation(1500)
    first = fit_calibration(method, logit, label, segment=segment)
    second = fit_calibration(method, logit[mixed], label[mixed], segment=segment._replace(ids=segment.ids[mixed]))
    assert json.dumps(first.calibration.to_dict()) == json.dumps(second.calibration.to_dict())
    assert first.details == second.details
    wide = np.unique(np.concatenate((logit, np.float32([-20, -9, 5, 9]))))
    for each in (3, 4, 99):
        asked = RowSegments("c3", np.full(wide.size, each, np.int32), OTHER)
        assert np.unique(first.calibration.logit(wide, asked)).size == wide.size
        assert (np.diff(first.calibration.probability(wide, asked)) >= 0).all()


def test_ranks_across_segments_may_change():
    calibration = Calibration(NoCalibration(), Segments("c3", (3,), (1.0,), (-2.0,)))
    asked = RowSegments("c3", np.array([3, 4], np.int32), OTHER)
    high, low = calibration.logit([0.5, 0.0], asked)
    assert high < low


def test_a_segment_that_ranks_backwards_keeps_its_ranks():
    logit, _, segment = drawn([0.0, 0.0], 4000)
    label = np.where(segment.ids == 3, logit < -1.5, logit > -1.5)
    fit = fit_segments(segment, logit, label)
    assert fit.segments.scale[0] == pytest.approx(LEAST_SCALE)


def test_certain_and_wrong_segments_stay_finite():
    logit = np.repeat([-900.0, 900.0, -900.0, 900.0], 100)
    label = np.repeat([0, 1, 1, 0], 100)
    segment = RowSegments("c3", np.repeat([3, 3, 4, 4], 100).astype(np.int32), OTHER)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        fit = fit_segments(segment, logit, label)
    assert np.isfinite([*fit.segments.shift, *fit.segments.scale]).all()
    assert (np.array([fit.shift_deviation, fit.slope_deviation]) <= 2.0).all()


def test_weights_equal_repeated_rows():
    logit, label, segment = drawn([0.6, -0.6, 0.0], 3000)
    times = np.random.default_rng(0).integers(0, 5, 3000)
    weighted = fit_segments(segment, logit, label, weight=times)
    repeats = [np.repeat(column, times) for column in (segment.ids, logit, label)]
    repeated = fit_segments(RowSegments("c3", repeats[0], OTHER), *repeats[1:])
    assert weighted.segments.ids == repeated.segments.ids
    np.testing.assert_allclose(weighted.segments.shift, repeated.segments.shift, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(weighted.segments.scale, repeated.segments.scale, rtol=1e-6)


@pytest.mark.parametrize("whole", [NoCalibration(), PlattCalibration(0.7, -0.1)])
def test_a_calibration_survives_json_bit_for_bit(whole):
    segments = Segments("c3", (3, 9), (1.1, 0.3), (-0.1, 1 / 3))
    for calibration in (Calibration(whole, segments), Calibration(whole)):
        again = calibration_from_dict(json.loads(json.dumps(calibration.to_dict())))
        assert again == calibration
    assert Calibration(whole).to_dict() == whole.to_dict()


@pytest.mark.parametrize(
    "broken",
    [
        {"ids": [9, 3]},
        {"ids": [3, 3]},
        {"ids": [3]},
        {"ids": ["x", "y"]},
        {"scale": [1.0, 0.0]},
        {"scale": [1.0, -1.0]},
        {"shift": [0.0, float("nan")]},
        {"shift": None},
        {"whole": {"method": "spline"}},
        {"whole": None},
        {"method": None},
    ],
)
def test_a_broken_description_is_refused(broken):
    whole = {"method": "none"}
    good = {
        "method": "segments",
        "whole": whole,
        "field": "c3",
        "ids": [3, 9],
        "scale": [1.0, 1.0],
        "shift": [0.0, 1.0],
    }
    assert calibration_from_dict(good).field == "c3"
    with pytest.raises(InputError, match="calibrate the model again"):
        calibration_from_dict({**good, **broken})


def test_rows_without_their_segments_are_not_scored_by_segments():
    calibration = Calibration(NoCalibration(), Segments("c3", (3,), (1.0,), (-2.0,)))
    with pytest.raises(InputError, match="by 'c3': expected the rows' segments, received none"):
        calibration.probability([0.0])
    with pytest.raises(InputError, match="received those of 'c4'"):
        calibration.logit([0.0], RowSegments("c4", np.array([3], np.int32), OTHER))


def test_details_tell_the_choice_and_the_shrinkage():
    logit, label, segment = drawn([0.6, -0.6], 20_000, scale=0.5)
    fitted = fit_calibration("auto", logit, label, segment=segment)
    details = json.loads(json.dumps(fitted.details))
    assert details["method"] == fitted.choice.method
    assert set(details["losses"]) == {"none", "temperature", "platt", "beta", "isotonic"}
    assert details["segments"]["field"] == "c3"
    assert (details["segments"]["carried"], details["segments"]["pooled"]) == (2, 0)
    assert details["segments"]["shift_deviation"] == pytest.approx(0.6, abs=0.1)
    chosen, shrunk = fitted.told()
    assert chosen.startswith(f"chose {fitted.choice.method} by cross-validated log loss: none 0.")
    assert shrunk.startswith("2 values of c3: shifts deviate by 0.")
    assert fit_calibration("platt", logit, label).details is None
    assert fit_calibration("platt", logit, label).calibration == Calibration(fit_calibrator("platt", logit, label))
