"""The figures of `benchmarks.precision_scores` where they are known."""

import numpy as np
import pytest

from benchmarks.precision_scores import compared


def scores(logit: list[float]) -> tuple[np.ndarray, np.ndarray]:
    z = np.array(logit, np.float32)
    return z, 1 / (1 + np.exp(-z.astype(float)))


def test_equal_scores_are_equal() -> None:
    some = scores([*range(12)])
    found = compared(*some, *some, 6)
    assert found.pop("sum") == 1
    assert set(found.values()) == {0}


def test_places_and_probabilities_that_change_are_counted() -> None:
    logit, probability = scores([6, 5, 4, 3, 2, 1, 6, 5, 4, 3, 2, 1, 9])
    other_logit = np.array([5.5, 5.6, 4, 3, 2, 1, 6, 5, 4, 3, 1, 1.5, 0], np.float32)
    other = probability.copy()
    other[3], other[7] = 1.5 * other[3], 0.9 * other[7]
    found = compared(logit, probability, other_logit, other, 6)
    assert found["largest"] == pytest.approx(0.5)
    assert found["median"] == 0
    assert found["sum"] == pytest.approx(other.sum() / probability.sum())
    assert found["pairs"] == pytest.approx(2 / 30)
    assert (found["another best"], found["other best five"]) == (0.5, 0.5)
