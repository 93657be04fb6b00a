"""Method auto: the simplest method whose cross-validated log loss is near the least."""

import numpy as np
import pytest

from pnn_gluon.evaluation.calibration import fit_calibrator, fit_chosen, fits_of
from pnn_gluon.evaluation.calibration_rows import CalibrationRows
from pnn_gluon.evaluation.calibrators import NoCalibration
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.method_choice import FOLDS, NEAR, choose_method, fold_weights
from tests.evaluation.test_logistic_fit import beta_logit

WORLDS = {
    "none": lambda x: x,
    "temperature": lambda x: 0.5 * x,
    "platt": lambda x: 0.7 * x - 1,
    "beta": lambda x: beta_logit(x, 1.3, 0.2, -0.5),
    "isotonic": lambda x: np.where(x < 0, -2.0, 0.5) + 0.1 * x,
}


def drawn(name, rows=20_000, seed=1):
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2, rows)
    return logit, rng.random(rows) < sigmoid(WORLDS[name](logit))


@pytest.mark.parametrize("name", WORLDS)
def test_the_method_that_fits_the_world_is_chosen(name):
    logit, label = drawn(name)
    calibrator, choice = fit_chosen("auto", logit, label)
    assert choice.method == name
    assert list(choice.losses) == ["none", "temperature", "platt", "beta", "isotonic"]
    assert choice.losses[name] <= min(choice.losses.values()) + NEAR / label.size
    assert calibrator == fit_calibrator(name, logit, label)


def test_near_ties_go_to_the_simpler_method():
    rows = CalibrationRows.of(*drawn("platt"))
    fits = fits_of(100)
    twice = {"first": fits["platt"], "second": fits["platt"]}
    assert choose_method(rows, twice).method == "first"
    level = {"none": lambda rows: NoCalibration(), "platt": fits["platt"]}
    losses = choose_method(rows, level).losses
    assert rows.total * (losses["none"] - losses["platt"]) > NEAR
    assert choose_method(rows, level).method == "platt"


def test_losses_are_those_of_rows_that_were_not_fitted_to():
    logit, label = drawn("isotonic", rows=3000)
    rows = CalibrationRows.of(logit, label)
    fit = fits_of(1)["isotonic"]
    total = 0.0
    for held_out in fold_weights(rows):
        assert set(held_out) == {0.0, 1.0}
        test = held_out == 1
        z = fit(CalibrationRows.of(rows.logit[~test], rows.label[~test])).logit(rows.logit[test])
        total += (np.logaddexp(0, z) - rows.label[test] * z).sum()
    assert choose_method(rows, {"isotonic": fit}).losses["isotonic"] == pytest.approx(total / 3000, rel=1e-12)


def test_folds_are_even_and_do_not_look_at_the_order():
    logit, label = drawn("beta", rows=5000)
    mixed = np.random.default_rng(0).permutation(5000)
    folds = fold_weights(CalibrationRows.of(logit, label))
    np.testing.assert_array_equal(folds, fold_weights(CalibrationRows.of(logit[mixed], label[mixed])))
    assert folds.shape == (FOLDS, 5000)
    np.testing.assert_array_equal(folds.sum(axis=0), 1)
    assert np.ptp(folds.sum(axis=1)) < 200


def test_a_weight_is_drawn_into_folds_unit_by_unit():
    weight = [1000.0, 0.25, 3.5]
    folds = fold_weights(CalibrationRows.of([0.0, 1.0, 2.0], [0, 0, 1], weight))
    np.testing.assert_allclose(folds.sum(axis=0), weight, rtol=1e-12)
    assert (np.abs(folds[:, 0] - 200) < 50).all()
    assert sorted(folds[:, 1]) == [0, 0, 0, 0, 0.25]
    assert (folds[:, 2] % 1 == 0.5).sum() == 1


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_a_choice_is_the_same_for_weights_and_for_repeated_rows(decimals):
    logit, label = drawn("platt", rows=3000)
    logit, times = logit.round(decimals), np.random.default_rng(0).integers(0, 4, 3000)
    weighted = fit_chosen("auto", logit, label, weight=times)[1]
    repeated = fit_chosen("auto", np.repeat(logit, times), np.repeat(label, times))[1]
    assert weighted.losses == pytest.approx(repeated.losses, rel=1e-9)
    assert weighted.method == repeated.method


@pytest.mark.parametrize("values", [12, 1000])
def test_few_distinct_logits_as_of_trees_do_not_speak_for_isotonic_by_chance(values):
    grid = np.random.default_rng(1).normal(0, 2, values)
    chosen = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        logit = rng.choice(grid, 10_000)
        chosen.append(fit_chosen("auto", logit, rng.random(10_000) < sigmoid(0.7 * logit - 1))[1].method)
    assert chosen.count("platt") >= 4


def test_few_clicks_are_not_chosen_by():
    logit, label = drawn("beta")
    few = np.flatnonzero(label)[:99]
    logit, label = np.concatenate((logit[~label], logit[few])), np.repeat([0, 1], [(~label).sum(), 99])
    calibrator, choice = fit_chosen("auto", logit, label)
    assert choice is None
    assert calibrator == fit_calibrator("platt", logit, label)
    assert fit_chosen("auto", logit, label, min_clicks=99)[1] is not None


def test_the_choice_is_near_the_best_method_on_fresh_rows():
    for name in WORLDS:
        logit, label = drawn(name, rows=5000, seed=3)
        fresh, clicked = drawn(name, rows=50_000, seed=4)
        loss = {}
        for method in ("none", "temperature", "platt", "beta", "isotonic", "auto"):
            z = fit_calibrator(method, logit, label).logit(fresh)
            loss[method] = np.mean(np.logaddexp(0, z) - clicked * z)
        assert loss["auto"] - min(loss.values()) < 2e-3, (name, loss)
