"""How often a row is drawn depends on the seed, the row and the repeat alone."""

import numpy as np
import pytest

from pnn_gluon.evaluation.poisson import COUNTS, mixed, poisson_weights

UNITS = np.arange(50_000, dtype=np.uint64)


def test_counts_are_poisson_of_mean_one():
    drawn = poisson_weights(UNITS, range(10), seed=3)
    expected = np.exp(-1) / np.array([1, 1, 2, 6, 24, 120])
    assert np.bincount(drawn.ravel())[:6] / drawn.size == pytest.approx(expected, abs=0.002)
    assert [COUNTS.mean(), COUNTS.var()] == pytest.approx([1, 1], abs=1e-4)


def test_repeats_seeds_and_neighbouring_rows_are_independent():
    drawn = poisson_weights(UNITS, range(4), seed=3).astype(float)
    others = [drawn[1], drawn[3], poisson_weights(UNITS, range(1), seed=4)[0], np.roll(drawn[0], 1)]
    assert [np.corrcoef(drawn[0], other)[0, 1] for other in others] == pytest.approx([0] * 4, abs=0.02)


def test_a_row_is_drawn_the_same_in_any_part():
    whole = poisson_weights(UNITS, range(6), seed=-5)
    np.testing.assert_array_equal(poisson_weights(UNITS[700:900], range(2, 5), seed=-5), whole[2:5, 700:900])


def test_scrambling_is_one_to_one():
    assert np.unique(mixed(UNITS)).size == UNITS.size
