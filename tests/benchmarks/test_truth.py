"""What `python -m benchmarks.truth` shows, on fewer rows: calibration against known probabilities."""

import numpy as np
import pytest

from benchmarks.truth import (
    HALVED_ON,
    METHODS,
    RATES,
    Day,
    after_half_the_clicks,
    by_method,
    by_segment,
    changed,
    drawn,
    errors,
    world_of,
)
from pnn_gluon.evaluation.log_odds import log_odds, sigmoid

ROWS = 30_000


@pytest.fixture(scope="module")
def sampling() -> dict[str, dict[str, float]]:
    return by_method(ROWS, [1])


def test_the_exact_correction_takes_away_what_sampling_did(sampling: dict[str, dict[str, float]]) -> None:
    assert set(sampling) == {f"{method} {rate:g}" for method in ("uncorrected", *METHODS) for rate in RATES}
    assert sampling["none 1"] == sampling["uncorrected 1"]
    for rate in ("0.1", "0.01"):
        before, after = sampling[f"uncorrected {rate}"], sampling[f"none {rate}"]
        assert after["ece"] < 0.3 * before["ece"]
        assert after["logit_error"] < before["logit_error"]


def test_calibration_comes_near_the_truth_at_every_rate(sampling: dict[str, dict[str, float]]) -> None:
    for rate in ("1", "0.1", "0.01"):
        for method in ("platt", "beta", "isotonic", "auto"):
            found = sampling[f"{method} {rate}"]
            assert found["ece"] < 0.7 * sampling[f"none {rate}"]["ece"], (method, rate)
            assert found["logit_error"] < 1.02 * sampling[f"none {rate}"]["logit_error"]


def test_a_segment_that_is_off_is_mended_by_segments_only() -> None:
    found = by_segment(100_000, [1])
    assert found["whole"]["off"] < 0.85
    assert found["by segment"]["off"] == pytest.approx(1, abs=0.08)
    assert found["by segment"]["others"] == pytest.approx(1, abs=0.08)
    assert found["by segment"]["distance"] < 0.7 * found["whole"]["distance"]


def test_nightly_recalibration_follows_a_halved_click_rate_and_nothing_else_does() -> None:
    found = after_half_the_clicks(ROWS, [1], HALVED_ON + 4)
    assert found["never recalibrated"] == [None]
    assert found["maturity 0"][0] in {2, 3}  # a day that is rightly calibrated is outside its interval by chance, too
    assert found["maturity 1"][0] in {3, 4}


def test_errors_are_those_of_the_definition() -> None:
    truth = np.repeat([0.1, 0.3], 500)
    day = Day(np.zeros((1000, 1), np.int32), log_odds(truth), truth, np.zeros(1000, np.int32))
    assert errors(day.truth, day) == {"logit_error": 0, "ece": 0}
    off = errors(log_odds(1.5 * truth), day)
    assert off["ece"] == pytest.approx(0.5)
    assert off["logit_error"] == pytest.approx(np.sqrt(np.mean((log_odds(1.5 * truth) - log_odds(truth)) ** 2)))


def test_a_change_multiplies_true_probabilities_of_a_segment_and_clicks_follow() -> None:
    day = drawn(world_of(1), 0, ROWS)
    value = int(np.unique(day.segment)[1])
    after = changed(day, 1.4, value)
    inside = day.segment == value
    np.testing.assert_allclose(sigmoid(after.truth)[inside], np.minimum(1.4 * sigmoid(day.truth)[inside], 0.999))
    np.testing.assert_allclose(after.truth[~inside], day.truth[~inside], rtol=1e-9)
    assert changed(day, 0.5).label.mean() == pytest.approx(0.5 * sigmoid(day.truth).mean(), rel=0.1)
