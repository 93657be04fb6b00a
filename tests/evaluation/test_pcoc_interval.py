"""The interval of PCOC against its definition and against known truths."""

import numpy as np
import pytest
from scipy.stats import binom

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.pcoc_interval import PcocInterval, pcoc_interval


def test_bounds_are_the_rates_that_make_the_clicks_just_improbable():
    label, p = np.repeat([1, 0], [12, 388]), np.full(400, 0.05)
    found = pcoc_interval(label, p, level=0.9)
    assert found.value == pytest.approx(20 / 12)
    assert binom.cdf(12, 400, 0.05 / found.low) == pytest.approx(0.05)  # so many clicks or fewer
    assert binom.sf(11, 400, 0.05 / found.high) == pytest.approx(0.05)  # so many or more


def test_without_clicks_there_is_a_lower_bound_only():
    assert pcoc_interval(np.zeros(100), np.full(100, 0.5)) == PcocInterval(None, pytest.approx(13.8, rel=0.01), None)
    every = pcoc_interval(np.ones(100), np.full(100, 0.5))
    assert (every.value, every.low) == (0.5, 0.5)
    assert every.high == pytest.approx(0.5 / 0.9638, rel=1e-3)


@pytest.mark.parametrize("base", [-5.0, -3.0, 0.0])
def test_interval_holds_the_true_ratio_as_often_as_it_says(base):
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        p = 1 / (1 + np.exp(-rng.normal(base, 1.2, 800)))
        found = pcoc_interval(rng.random(800) < p, 1.5 * p.clip(0, 0.66))
        truth = 1.5 * p.clip(0, 0.66).sum() / p.sum()
        held += found.low <= truth and (found.high is None or truth <= found.high)
    assert held >= 186


@pytest.mark.parametrize(("rows", "level"), [(0, 0.95), (5, 1.0)])
def test_no_rows_and_impossible_levels_are_refused(rows, level):
    with pytest.raises(InputError, match=f"received {rows} rows and level {level}"):
        pcoc_interval(np.zeros(rows), np.zeros(rows), level)
