"""The bootstrap's state: any split of the rows, in any order, gives the same interval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation import resampling
from pnn_gluon.evaluation.auc import Auc
from pnn_gluon.evaluation.log_loss import LogLoss, NormalizedEntropy
from pnn_gluon.evaluation.pcoc import Pcoc
from pnn_gluon.evaluation.poisson import poisson_weights
from pnn_gluon.evaluation.resampling import SCALES, Resampling
from pnn_gluon.evaluation.squared_error import SquaredError

VALUES = {
    "auc": lambda y, z, w: Auc().update(y, z, w).value(),
    "log_loss": lambda y, z, w: LogLoss().update_logits(y, z, w).value(),
    "normalized_entropy": lambda y, z, w: NormalizedEntropy().update_logits(y, z, w).value(),
    "pcoc": lambda y, z, w: Pcoc().update(y, 1 / (1 + np.exp(-z)), w).value(),
    "brier": lambda y, z, w: SquaredError().update(y, 1 / (1 + np.exp(-z)), w).value(),
    "rmse": lambda y, z, w: SquaredError().update(y, 1 / (1 + np.exp(-z)), w).rmse(),
}


def scored(rows, seed=0, clusters=None):
    """Units, labels and two models' logits; with clusters, rows of one have much in common."""
    rng = np.random.default_rng(seed)
    unit = np.arange(rows) if clusters is None else rng.integers(0, clusters, rows)
    common = 0 if clusters is None else rng.normal(0, 1.5, clusters)[unit]
    logit = rng.normal(-1.5, 1, rows) + common
    label = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    first, second = (rng.normal(-1.2, 1, rows).round(2) + 0.8 * (logit + 1.5) * part for part in (1, 0.7))
    return unit.astype(np.uint64), label, first, second


def intervals(state, repeats=30, contrast=(1.0, -1.0)):
    drawn = state.draws(repeats, seed=7)
    found = [drawn.interval(metric, contrast=shown) for metric in SCALES for shown in ((1.0,), contrast)]
    return [number for each in found for number in vars(each).values()]


@pytest.mark.parametrize("metric", SCALES)
@pytest.mark.parametrize("clusters", [None, 40])
def test_interval_follows_from_the_metric_of_the_rows_drawn(metric, clusters):
    unit, label, logit, _ = scored(300, clusters=clusters)
    identity = np.unique(unit)
    draws = poisson_weights(identity, range(50), seed=7)[:, np.searchsorted(identity, unit)]
    scale, size = SCALES[metric], np.bincount(np.searchsorted(identity, unit))
    drawn = scale.there(np.array([VALUES[metric](label, logit, draw) for draw in draws]))
    units = size.sum() ** 2 / (size**2).sum()
    error = drawn.std(ddof=1) * np.sqrt(units / (units - 1))
    found = Resampling().update(unit, label, logit).draws(50, seed=7).interval(metric, level=0.9)
    value = VALUES[metric](label, logit, np.ones(300))
    from scipy.stats import t

    reach = t.ppf(0.95, 1 / (1 / (units - 1) + 1 / 49)) * error
    bounds = scale.back(scale.there(np.array([value, value])) + np.array([-reach, reach]))
    assert [found.value, found.low, found.high] == pytest.approx([value, *bounds], rel=1e-10)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 400), max_size=4), st.randoms(use_true_random=False), st.booleans())
def test_any_split_in_any_order_gives_the_same_interval(cuts, random, many):
    columns = scored(400, clusters=60)
    parts = list(zip(*(np.split(column, sorted(cuts)) for column in columns), strict=True))
    random.shuffle(parts)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(resampling, "EXACT_ROWS", 100 if many else 1000)
        patched.setattr(resampling, "WAITING_ROWS", 150 if many else 1000)
        whole = Resampling().update(*columns)
        assert (whole.buckets is not None) == many
        assert intervals(sum((Resampling().update(*part) for part in parts), Resampling())) == pytest.approx(
            intervals(whole), rel=1e-9
        )


@pytest.mark.parametrize("clusters", [None, 2000])
def test_buckets_widen_as_single_units_do(clusters, monkeypatch):
    """A standard error from 512 buckets is off by 3 %, one of 400 repeats by 3.5 %: together with both by 6 % or so."""
    columns = scored(10_000, clusters=clusters)
    exact = np.array(intervals(Resampling().update(*columns), 400)).reshape(-1, 3)
    monkeypatch.setattr(resampling, "EXACT_ROWS", 1000)
    coarse = np.array(intervals(Resampling().update(*columns), 400)).reshape(-1, 3)
    width = [(each[:, 2] - each[:, 1]) for each in (coarse, exact)]
    assert width[0] / width[1] == pytest.approx(1, abs=0.17)
    assert coarse[:, 0] == pytest.approx(exact[:, 0], abs=5e-4)  # the AUC of wide bins, all others to the last bits


def test_rows_of_a_cluster_are_drawn_together():
    unit, label, logit, _ = scored(2000, clusters=50)
    alone, together = (
        Resampling().update(units, label, logit).draws(200, seed=1).interval("pcoc")
        for units in (np.arange(2000, dtype=np.uint64), unit)
    )
    assert together.high - together.low > 1.3 * (alone.high - alone.low)


def test_whole_weights_of_a_unit_equal_its_repeated_rows():
    unit, label, logit, _ = scored(200)
    weight = np.random.default_rng(3).integers(1, 4, 200)
    repeated = Resampling().update(np.repeat(unit, weight), np.repeat(label, weight), np.repeat(logit, weight))
    weighted = Resampling().update(unit, label, logit, weight=weight)
    contrast = (1.0,)
    assert intervals(weighted, contrast=contrast) == pytest.approx(intervals(repeated, contrast=contrast), rel=1e-10)


def test_values_at_the_end_of_their_scale_have_an_interval_on_their_own():
    """An AUC of 1 has no logit."""
    unit, label = np.arange(60, dtype=np.uint64), np.arange(60) >= 30
    found = Resampling().update(unit, label, np.linspace(-3, 3, 60)).draws(50, seed=1).interval("auc")
    assert (found.value, found.low, found.high) == (1, 1, 1)


@pytest.mark.parametrize(("unit", "label"), [([1, 2], [0, 0]), ([1, 1], [0, 1])], ids=["one class", "one cluster"])
def test_what_has_no_spread_has_no_interval(unit, label):
    drawn = Resampling().update(np.array(unit, np.uint64), label, [0.1, 0.2]).draws(20, seed=1)
    assert drawn.interval("normalized_entropy") is None


def test_no_rows_cannot_be_drawn():
    assert Resampling().draws(10, seed=1) is None
    assert Resampling().update(np.empty(0, np.uint64), [], []).draws(10, seed=1) is None


@pytest.mark.parametrize(("units", "logits"), [(1, 1), (2, 0)])
def test_a_unit_for_each_row_and_a_model_are_expected(units, logits):
    with pytest.raises(InputError, match="resampling: expected a unit for each of 2 rows and a model or more"):
        Resampling().update(np.arange(units, dtype=np.uint64), [0, 1], *[[0.1, 0.2]] * logits)


@pytest.mark.parametrize("clusters", [None, 5])
def test_how_many_repeats_are_drawn_at_once_changes_nothing(clusters, monkeypatch):
    state = Resampling().update(*scored(300, clusters=clusters))
    at_once = intervals(state)
    monkeypatch.setattr(resampling, "_AT_ONCE", 1000)
    assert intervals(state) == pytest.approx(at_once, rel=1e-12)
