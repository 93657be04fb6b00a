import dataclasses

import numpy as np
import pytest

from pnn_gluon.errors import ConfigError
from pnn_gluon.evaluation.metrics import Auc
from pnn_gluon.experiments.dataset import Examples
from pnn_gluon.experiments.one_hot_dnn import OneHotDNN
from pnn_gluon.experiments.poly2 import Poly2World, crossed_ids
from pnn_gluon.experiments.poly2_study import (
    QUICK,
    Contender,
    Curve,
    RowStream,
    convergence_curves,
    learning_curve,
    sparsity_curves,
    true_function_auc,
)
from pnn_gluon.training.export import predict_logits

WORLD = Poly2World.draw((3,) * 5, seed=1)
ROWS = Examples(*WORLD.rows(250, 2))
VALID = Examples(*WORLD.rows(300, 3))
SMALL = dataclasses.replace(QUICK, part_rows=100, batch_size=40)


def dnn():
    return Contender("dnn", OneHotDNN(WORLD.layout, WORLD.size, (8,), prefix="dnn_"))


def test_a_stream_gives_every_row_once_and_in_order():
    stream = RowStream(ROWS, part_rows=100, batch_size=40)
    batches = [list(stream.batches(epoch, 0)) for epoch in range(stream.parts)]
    assert [[len(label) for _, label in part] for part in batches] == [[40, 40, 20], [40, 40, 20], [40, 10]]
    assert stream.batch_count == 3
    ids, label = (np.concatenate([batch[i] for part in batches for batch in part]) for i in (0, 1))
    np.testing.assert_array_equal(ids, ROWS.ids)
    np.testing.assert_array_equal(label, ROWS.label)


def test_a_stream_goes_on_from_a_batch():
    stream = RowStream(ROWS, part_rows=100, batch_size=40)
    found = list(stream.batches(1, 2))
    assert len(found) == 1
    np.testing.assert_array_equal(found[0][0], ROWS.ids[180:200])


def test_a_crossed_stream_gives_the_ids_of_all_pairs():
    ids, _ = next(RowStream(ROWS, 100, 40, cross_size=WORLD.size).batches(0, 0))
    np.testing.assert_array_equal(ids, crossed_ids(ROWS.ids[:40], WORLD.size))


def test_streams_of_other_batches_have_other_fingerprints():
    streams = [
        RowStream(ROWS, 100, 40),
        RowStream(VALID, 100, 40),
        RowStream(ROWS, 120, 40),
        RowStream(ROWS, 100, 50),
        RowStream(ROWS, 100, 40, cross_size=WORLD.size),
    ]
    assert len({stream.fingerprint for stream in streams}) == len(streams)
    assert RowStream(ROWS, 100, 40).fingerprint == streams[0].fingerprint


def test_a_curve_has_the_auc_on_the_validation_rows_after_each_part():
    contender = dnn()
    curve = learning_curve(contender, WORLD, ROWS, VALID, SMALL, seed=1)
    assert curve.examples == (100, 200, 250)
    aucs = {Auc().update(VALID.label, predict_logits(contender.net, VALID.ids)).value()}
    assert max(curve.auc) in aucs  # the network is left with the values of its best part
    shorter = Examples(ROWS.ids[:100], ROWS.label[:100])
    first = learning_curve(dnn(), WORLD, shorter, VALID, SMALL, seed=1)
    assert first.auc == curve.auc[:1]


def test_curves_are_those_of_the_seed():
    first, again, other = (learning_curve(dnn(), WORLD, ROWS, VALID, SMALL, seed) for seed in (1, 1, 2))
    assert first == again
    assert first.auc != other.auc


def test_fewer_rows_than_a_batch_are_refused():
    few = Examples(ROWS.ids[:39], ROWS.label[:39])
    with pytest.raises(ConfigError, match="40 training rows"):
        learning_curve(dnn(), WORLD, few, VALID, SMALL, seed=1)


def test_sparsity_has_a_curve_for_each_number_of_categories(caplog):
    size = dataclasses.replace(QUICK, categories=(12, 24), sparsity_rows=1000, part_rows=500)
    caplog.set_level("INFO", "pnn_gluon")
    curves = list(sparsity_curves(size, 1))
    assert [(curve.name, curve.examples) for curve in curves] == [("N = 12", (500, 1000)), ("N = 24", (500, 1000))]
    assert len(caplog.messages) == 2
    assert "N = 24" in caplog.messages[1]


def test_poly2_regression_and_every_network_learn_and_stay_below_the_true_function():
    size = dataclasses.replace(QUICK, convergence_rows=4000, part_rows=2000, batch_size=50)
    curves = {curve.name: curve for curve in convergence_curves(size, 1)}
    expected = ["DNN 1 x 128", "DNN 1 x 512", "DNN 3 x 128", "poly-2", "lr", "fm", "kfm", "ipnn", "kpnn"]
    assert list(curves) == expected
    best = true_function_auc(size, 1)
    assert all(0.6 < curve.auc[-1] < best for curve in curves.values())
    assert curves["poly-2"].auc[-1] > curves["lr"].auc[-1] + 0.02
    assert isinstance(curves["lr"], Curve)


def test_only_the_noise_keeps_the_true_function_from_an_auc_of_1():
    assert 0.95 < true_function_auc(QUICK, 1) < 1
