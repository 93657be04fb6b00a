"""Importance of planted and of ignored fields, and its interval."""

from types import SimpleNamespace

import numpy as np
import pytest

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.evaluation.bootstrap import paired_bootstrap
from pnn_gluon.evaluation.calibrators import PlattCalibration
from pnn_gluon.evaluation.metrics import Auc, LogLoss
from pnn_gluon.evaluation.segments import Calibration
from pnn_gluon.explaining.importance import field_importance, shuffled_fields
from pnn_gluon.explaining.rows import Rows
from pnn_gluon.serving.bundle import Bundle

LAYOUT = FieldLayout.from_widths({"idle": 1, "weak": 1, "tags": 2, "strong": 1})
WEIGHTS = np.array([0.0, 0.4, 0.7, 0.7, 1.5])
VALUES = 5


class Scorer:
    """A logit that is linear in the ids."""

    def __init__(self, weights=WEIGHTS):
        self.weights = weights

    def logits(self, ids):
        return ((ids - (VALUES + 1) / 2) @ self.weights / 2).astype(np.float32)


def bundle_of(scorer=None):
    card = SimpleNamespace(rate=0.5, model={"name": "lr"})
    return Bundle(card, SimpleNamespace(layout=LAYOUT), scorer or Scorer(), Calibration(PlattCalibration(0.9, 0.1)))


def rows_of(size, seed=3, clusters=None):
    random = np.random.default_rng(seed)
    ids = random.integers(1, VALUES + 1, (size, LAYOUT.slots)).astype(np.int32)
    label = (random.random(size) < 1 / (1 + np.exp(0.7 - Scorer().logits(ids)))).astype(float)
    row = np.arange(size, dtype=np.uint64)
    return Rows(ids, label, row, row if clusters is None else row % np.uint64(clusters), size)


def test_the_planted_field_is_first_and_an_ignored_one_is_worth_nothing():
    found = field_importance(bundle_of(), rows_of(4000), 100, 1)
    assert [each.field for each in found] == ["strong", "tags", "weak", "idle"]
    assert all(each.low > 0 and each.auc > 0 for each in found[:3])
    assert (found[3].log_loss, found[3].low, found[3].high, found[3].auc) == (0, 0, 0, 0)


def test_a_field_of_noise_that_the_model_believes_in_has_an_interval_around_nothing():
    rows = rows_of(4000)
    weights = WEIGHTS + np.array([0.05, 0, 0, 0, 0])
    (idle,) = (each for each in field_importance(bundle_of(Scorer(weights)), rows, 100, 1) if each.field == "idle")
    assert idle.low < 0 < idle.high


@pytest.mark.parametrize("clusters", [None, 40])
def test_numbers_are_the_rise_of_the_loss_and_the_paired_bootstrap_of_shuffled_rows(clusters):
    bundle, rows = bundle_of(), rows_of(600, clusters=clusters)
    before = bundle.calibrated_logit(bundle.logits(rows.ids), rows.ids)
    p = bundle.probability(bundle.logits(rows.ids), rows.ids)
    found = {each.field: each for each in field_importance(bundle, rows, 50, 7)}
    for name, ids in zip(LAYOUT.names, shuffled_fields(LAYOUT, rows.ids, 7), strict=True):
        after, q = bundle.calibrated_logit(bundle.logits(ids), ids), bundle.probability(bundle.logits(ids), ids)
        expected = paired_bootstrap(rows.label, after, before, "log_loss", 50, 7, logits=True, clusters=rows.unit)
        rise = LogLoss().update(rows.label, q).value() - LogLoss().update(rows.label, p).value()
        fall = Auc().update(rows.label, before).value() - Auc().update(rows.label, after).value()
        got = found[name]
        np.testing.assert_allclose((got.log_loss, got.low, got.high), (rise, expected.low, expected.high), atol=1e-12)
        assert got.auc == pytest.approx(fall, abs=1e-12)


def test_a_shuffled_field_keeps_its_values_and_moves_all_of_its_slots_together():
    ids = rows_of(200).ids
    for field, shuffled in enumerate(shuffled_fields(LAYOUT, ids, 1)):
        start, width = LAYOUT.starts[field], LAYOUT.widths[field]
        own = slice(start, start + width)
        assert sorted(map(tuple, shuffled[:, own])) == sorted(map(tuple, ids[:, own]))
        assert (shuffled[:, own] != ids[:, own]).any()
        np.testing.assert_array_equal(np.delete(shuffled, own, axis=1), np.delete(ids, own, axis=1))


def test_rows_of_one_class_have_no_auc_and_rows_of_one_cluster_no_importance():
    rows = rows_of(50)
    passed = Rows(rows.ids, np.zeros(50), rows.row, rows.unit, 50)
    assert {each.auc for each in field_importance(bundle_of(), passed, 20, 1)} == {None}
    assert field_importance(bundle_of(), rows_of(50, clusters=1), 20, 1) == []
    assert field_importance(bundle_of(), Rows.none(LAYOUT.slots), 20, 1) == []


def test_another_seed_is_another_permutation_and_the_same_one_the_same_numbers():
    rows = rows_of(300)
    one, again, other = (field_importance(bundle_of(), rows, 20, seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def lines_of(size, seed=3):
    """Rows with weights, two of a line, and the same written out."""
    rows, random = rows_of(size, seed), np.random.default_rng(seed)
    unit, weight = rows.row // np.uint64(2), random.integers(1, 9, size)
    weighted = Rows(rows.ids, rows.label, unit, unit, size, weight.astype(float))
    out = np.repeat(np.arange(size), weight)
    return weighted, Rows(rows.ids[out], rows.label[out], unit[out], unit[out], len(out)), out


def test_rows_with_weights_are_worth_what_the_same_rows_written_out_are():
    bundle, (rows, single, out) = bundle_of(), lines_of(600)
    found = {each.field: each for each in field_importance(bundle, rows, 50, 7)}
    before = bundle.calibrated_logit(bundle.logits(single.ids), single.ids)
    shuffled = shuffled_fields(LAYOUT, rows.ids, 7, rows.weight)
    for name, ids in zip(LAYOUT.names, (each[out] for each in shuffled), strict=True):
        after = bundle.calibrated_logit(bundle.logits(ids), ids)
        expected = paired_bootstrap(single.label, after, before, "log_loss", 50, 7, logits=True, clusters=single.unit)
        rise = np.mean([np.logaddexp(0, z) - single.label * z for z in (after, before)], axis=1)
        fall = Auc().update(single.label, before).value() - Auc().update(single.label, after).value()
        told = found[name].log_loss, found[name].low, found[name].high, found[name].auc
        np.testing.assert_allclose(told, (rise[0] - rise[1], expected.low, expected.high, fall), atol=1e-12)
    assert found["strong"].log_loss > found["weak"].log_loss > found["idle"].log_loss == 0


def test_rows_with_weights_are_taken_from_as_often_as_they_count():
    weight = np.array([1.0, 5.0, 2.0, 4.0, 8.0])
    ids = np.arange(5, dtype=np.int32)[:, None].repeat(LAYOUT.slots, axis=1)
    taken = np.zeros(5)
    for seed in range(500):
        for field, shuffled in enumerate(shuffled_fields(LAYOUT, ids, seed, weight)):
            times = np.bincount(shuffled[:, LAYOUT.starts[field]], minlength=5)
            assert (np.abs(times - weight / 4) < 1).all()
            taken += times
    np.testing.assert_allclose(taken / taken.sum(), weight / weight.sum(), atol=0.02)


def test_rows_of_the_same_weight_are_shuffled_by_a_permutation():
    ids = rows_of(200).ids
    for field, shuffled in enumerate(shuffled_fields(LAYOUT, ids, 1, np.full(200, 7.0))):
        own = LAYOUT.starts[field]
        assert sorted(shuffled[:, own]) == sorted(ids[:, own])
        assert (shuffled[:, own] != ids[:, own]).any()
