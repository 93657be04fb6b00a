"""Slices: the sums are those of the rows, parts add up, intervals cover, and what is found is what was planted."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from pnn_gluon.evaluation.identity import Identities
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.slices import SCORE, SlicedBy, Slices

VALUES = tuple(f"v{number}" for number in range(30))


FAULTS = np.array([1.5, 0.6, 2.0, 0.5])
"""How much more, or less, often than predicted the slices of planted faults click."""


def drawn(seed: int, rows: int = 30_000, planted: float = 1.0, users: int | None = None) -> dict[str, Any]:
    """Rows whose probability is the truth, but that the first value clicks `planted` times as often."""
    rng = np.random.default_rng(seed)
    where = rng.integers(0, len(VALUES), rows)
    logit = rng.normal(-2.5, 0.8, rows)
    truth = sigmoid(logit) * np.where(where == 0, planted, 1.0)
    unit = np.arange(rows, dtype=np.uint64)
    if users is not None:  # all rows of a user are alike in what the model does not see
        unit = rng.integers(0, users, rows).astype(np.uint64)
        truth = sigmoid(logit + rng.normal(0, 1.0, users)[unit.astype(int)] - 0.35)
    label = (rng.random(rows) < truth).astype(float)
    return {"where": where, "unit": unit, "label": label, "logit": logit}


def added(rows: dict[str, Any], some: Any = slice(None), state: Slices | None = None) -> Slices:
    where, unit, label, logit = (rows[name][some] for name in ("where", "unit", "label", "logit"))
    empty = Slices({"value": SlicedBy.empty(VALUES)})
    units: Identities = unit
    return (state or empty).update({"value": where}, units, label, sigmoid(logit), logit)


def test_a_slice_has_the_numbers_of_its_rows() -> None:
    rows = drawn(1)
    told = {(each["by"], each["value"]): each for each in added(rows).told(10)}
    mine = rows["where"] == 7
    label, p = rows["label"][mine], sigmoid(rows["logit"][mine])
    found = told["value", "v7"]
    assert (found["rows"], found["clicks"]) == (mine.sum(), label.sum())
    assert found["pcoc"] == pytest.approx(p.sum() / label.sum(), rel=1e-12)
    assert found["log_loss"] == pytest.approx(log_loss(label, p), rel=1e-12)
    assert found["auc"] == pytest.approx(roc_auc_score(label, p), abs=0.01)
    assert found["low"] < found["pcoc"] < found["high"]
    deciles = [each for (by, _), each in told.items() if by == SCORE]
    assert sum(each["rows"] for each in deciles) == len(rows["label"])
    assert all(0.08 < each["rows"] / len(rows["label"]) < 0.12 for each in deciles)


@settings(max_examples=12)
@given(cuts=st.lists(st.integers(0, 3000), min_size=0, max_size=5))
def test_parts_add_up_to_the_whole(cuts: list[int]) -> None:
    rows, state = drawn(2, 3000), Slices({"value": SlicedBy.empty(VALUES)})
    bounds = [0, *sorted(cuts), 3000]
    for first, last in pairwise(bounds):
        state += added(rows, slice(first, last))
    whole = added(rows)
    np.testing.assert_allclose(state.scored, whole.scored, rtol=1e-12, atol=1e-12)
    for part, full in (
        (state.by["value"].sums, whole.by["value"].sums),
        (state.by["value"].scores, whole.by["value"].scores),
    ):
        np.testing.assert_allclose(part, full, rtol=1e-12, atol=1e-12)


def test_without_a_fault_hardly_a_day_has_a_find() -> None:
    assert sum(any(each["found"] for each in added(drawn(seed)).told(10)) for seed in range(20)) <= 3


def test_a_slice_that_clicks_more_often_is_found_and_stands_first() -> None:
    first = added(drawn(3, 60_000, planted=1.4)).told(10)[0]
    assert (first["by"], first["value"], first["found"]) == ("value", "v0", True)
    assert first["high"] < 1


@pytest.mark.parametrize("users", [None, 2000])
def test_intervals_hold_the_truth_about_as_often_as_they_say(users: int | None) -> None:
    """By users, where rows of one user are alike; the mean of the truth is that of the rows."""
    held = []
    for seed in range(40):
        rows = drawn(seed, 10_000, users=users)
        every = added(rows).told(10)
        whole = np.mean([each["pcoc"] for each in every if each["by"] == "value"])
        held += [each["low"] <= (1.0 if users is None else whole) <= each["high"] for each in every if each["low"]]
    assert 0.92 < np.mean(held) < 0.98


def many_slices(seed: int, users: int | None) -> tuple[Slices, int]:
    """A day of 200 slices of some 300 to 3,000 rows, of which one in ten is off by one of `FAULTS`; how many are.

    With users, each has all his rows in one slice, 10 of them on average, and they are alike beyond what is predicted.
    """
    rng, size, rows = np.random.default_rng(seed), 200, 150_000
    weight = 1 / (np.arange(size) + 20)
    unit = np.arange(rows) if users is None else rng.integers(0, users, rows)
    where = rng.choice(size, rows if users is None else users, p=weight / weight.sum())[unit]
    logit = rng.normal(-2.2, 0.8, rows)
    factor = np.ones(size)
    factor[::10] = np.resize(FAULTS, size // 10)
    truth = np.minimum(sigmoid(logit) * factor[where], 1.0)
    if users is not None:  # of mean 1
        truth = np.minimum(truth * rng.gamma(4, 0.25, users)[unit], 1.0)
    label = (rng.random(rows) < truth).astype(float)
    state = Slices({"value": SlicedBy.empty([str(number) for number in range(size)])})
    return state.update({"value": where}, unit.astype(np.uint64), label, sigmoid(logit), logit), size // 10


@pytest.mark.parametrize(("users", "least"), [(None, 0.7), (15_000, 0.5)])
def test_hardly_one_in_twenty_of_many_is_false_and_most_faults_are_found(users: int | None, least: float) -> None:
    false, found, planted = [], 0, 0
    for seed in range(12):
        state, faults = many_slices(seed, users)
        named = [int(each["value"]) for each in state.told(10) if each["found"] and each["by"] == "value"]
        false.append(sum(value % 10 != 0 for value in named) / max(1, len(named)))
        found += sum(value % 10 == 0 for value in named)
        planted += faults
    assert np.mean(false) < 0.05
    assert found > least * planted


@pytest.mark.parametrize("users", [None, 15_000])
def test_chances_of_slices_without_a_fault_are_no_smaller_than_chance_makes_them(users: int | None) -> None:
    told = [each for seed in range(12) for each in many_slices(seed, users)[0].told(10) if each["by"] == "value"]
    chances = np.array([each["p"] for each in told if int(each["value"]) % 10 and each["p"] is not None])
    assert chances.size > 2000
    for level in (0.001, 0.01, 0.05, 0.1, 0.5):
        assert np.mean(chances < level) < level + 3 * (level * (1 - level) / chances.size) ** 0.5
    assert np.mean(chances < 0.5) > 0.45  # and not so large that they say nothing


@pytest.mark.parametrize("clicks", [0, 5])
def test_of_too_few_clicks_nothing_is_said(clicks: int) -> None:
    rows = drawn(4, 300)
    rows["label"] = (np.arange(300) < clicks).astype(float)
    for each in added(rows).told(10):
        assert (each["low"], each["high"], each["p"], each["found"]) == (None, None, None, False)
    assert added(rows, slice(0, 0)).told(10) == []


def test_min_clicks_counts_clicks_and_not_buckets() -> None:
    told = [each for each in added(drawn(5, 60_000)).told(150) if each["by"] == "value"]
    assert all(150 < each["clicks"] < 500 and each["low"] is not None for each in told)
    assert all(each["low"] is None for each in added(drawn(5, 60_000)).told(500) if each["by"] == "value")


@pytest.mark.parametrize("clicked", [0, 1])
def test_clicks_or_non_clicks_of_few_units_tell_no_interval(clicked: int) -> None:
    """One user has all rows of a class, which says nothing on other users."""
    rows = drawn(6, 6000)
    rows["unit"][rows["label"] == clicked] = 7
    assert all((each["low"], each["p"], each["found"]) == (None, None, False) for each in added(rows).told(10))
