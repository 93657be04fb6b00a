"""How far samples differ by chance: against definitions, exact sums and simulation."""

import math

import numpy as np
import pytest
from numpy.random import Generator, default_rng
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2

from pnn_gluon.checks.chance import LEAST, RARE, distance, merged_cells, new_values, unlikely


def test_the_distance_of_large_samples_is_that_of_scipy() -> None:
    today, before = np.array([5, 3, 2, 0]) * 10**9, np.array([1, 1, 1, 1]) * 10**9
    rows = int(today.sum()), int(before.sum())
    expected = jensenshannon(today, before, base=2)
    assert distance(today, before, rows).value == pytest.approx(expected, abs=1e-6)


def test_samples_without_a_value_in_common_are_at_the_distance_of_one() -> None:
    assert distance(np.array([10**9, 0]), np.array([0, 10**9]), (10**9, 10**9)).value == pytest.approx(1)


def test_one_cell_has_no_distance() -> None:
    assert distance(np.array([300]), np.array([900]), (300, 900)) == (0, 0)


@pytest.mark.parametrize(("rows", "cells"), [((300, 2100), 30), ((3000, 3000), 100), ((1000, 7000), 5)])
def test_without_drift_the_distance_has_the_mean_and_the_tail_of_chi_squared(rows: tuple[int, int], cells: int) -> None:
    """What is subtracted is the mean of chi-squared: as many lie above it as should; none reaches what is rare."""
    draw = default_rng(1)
    sides = [[draw.multinomial(n, np.full(cells, 1 / cells)) for n in rows] for _ in range(1000)]
    found = [distance(today, before, rows) for today, before in sides]
    above = np.mean([jensen.value > 0 for jensen in found])
    assert above == pytest.approx(chi2.sf(cells - 1, cells - 1), abs=0.08)
    assert not [jensen for jensen in found if jensen.value > jensen.chance]


def test_a_small_day_needs_a_larger_distance() -> None:
    shares = np.full(20, 0.05)
    chances = [distance(np.rint(n * shares), np.rint(7 * n * shares), (n, 7 * n)).chance for n in (300, 3000, 10**6)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.1 > chances[1] > 0.01 > chances[2]


def cells_of(draw: Generator, rows: int, cells: int = 500) -> np.ndarray:
    return draw.multinomial(rows, np.full(cells, 1 / cells))


def test_merged_cells_have_enough_on_the_smaller_side_and_lose_nothing() -> None:
    draw = default_rng(2)
    today, before = cells_of(draw, 300), cells_of(draw, 2100)
    merged = merged_cells(today, before)
    assert [int(side.sum()) for side in merged] == [300, 2100]
    assert ((merged[0] + merged[1]) * 300 / 2400 >= LEAST).all()
    assert len(merged[0]) > 20
    assert len(merged_cells(today * 1000, before * 1000)[0]) <= 100
    assert [side.tolist() for side in merged_cells(np.array([1, 0]), np.array([2, 3]))] == [[1], [5]]


def test_what_chance_gives_of_new_values_is_exact() -> None:
    """Against the sum over all ways to choose today's rows among all: every c rows of a value."""
    values, today, total = [1, 1, 2, 3], 3, 7
    share = {c: math.comb(total - c, today - c) / math.comb(total, today) for c in set(values)}
    expected = sum(c * share[c] for c in values)
    pooled, number = np.array([1, 2, 3]), np.array([2, 1, 1])
    found = new_values(2, today, pooled, number)
    assert found.value == pytest.approx((2 - expected) / today, abs=1e-12)


def test_a_value_with_more_rows_than_today_has_is_never_new() -> None:
    assert new_values(0, 2, np.array([5]), np.array([1])) == (0, 0)


def test_rare_values_are_new_on_any_day_and_no_finding() -> None:
    draw = default_rng(3)
    for _ in range(50):
        today, before = (draw.integers(0, 2000, rows) for rows in (500, 1500))
        count = np.bincount(np.concatenate([today, before]))
        pooled, number = np.unique(count[count > 0], return_counts=True)
        new = int((~np.isin(today, before)).sum())
        found = new_values(new, 500, pooled, number)
        assert new > 150
        assert abs(found.value) < found.chance < 0.2


def test_unlikely_is_the_exact_binomial_tail() -> None:
    """Ten of ten on a side of share s is unlikely where 2 s^10 is below the limit."""
    edge = (RARE / 2) ** 0.1
    assert unlikely(10, 10, edge * 0.999)
    assert not unlikely(10, 10, edge * 1.001)
    assert unlikely(0, 10, 1 - edge * 0.999)
    assert not unlikely(0, 0, 0.5)
