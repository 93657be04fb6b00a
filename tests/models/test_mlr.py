"""mlr: a mixture of logistic regressions."""

import numpy as np
import pytest
from model_checks import LAYOUTS, SIZE, check_equation, small_model, some_ids
from numpy_models import field_vectors, int32, randomize

from pnn_gluon.blocks.id_table import is_row_parameter
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.registry import create_model
from pnn_gluon.runtime import mx


def mlr(layout, ids, values):
    u, w = (
        field_vectors(layout, ids, values[f"{part}.linear_weight"]).sum(axis=1) + values[f"{part}.bias"]
        for part in ("gates", "scores")
    )
    gates = np.exp(u) / np.exp(u).sum(axis=1, keepdims=True)
    p = (gates / (1 + np.exp(-w))).sum(axis=1)
    return np.log(p / (1 - p))


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("pieces", [2, 5])
def test_logits_and_gradients_equal_the_equation(pieces, layout, hybrid):
    check_equation("mlr", mlr, layout, hybrid, pieces=pieces)


@pytest.mark.parametrize("equal_gates", [False, True])
def test_mlr_with_equal_pieces_is_logistic_regression_whatever_the_gates(equal_gates):
    layout = LAYOUTS["multi"]
    mlr, lr, ids = small_model("mlr", layout), small_model("lr", layout), int32(some_ids(layout))
    values = randomize(lr, 4)
    randomize(mlr, 5)
    for piece in range(3):
        mlr.scores.linear_weight.data()[:, piece] = mx.nd.array(values["linear.linear_weight"][:, 0])
        mlr.scores.bias.data()[piece] = values["linear.bias"][0]
    if equal_gates:
        mlr.gates.linear_weight.set_data(mx.nd.zeros((SIZE, 3)))
        mlr.gates.bias.set_data(mx.nd.zeros((3,)))
    np.testing.assert_allclose(mlr(ids).asnumpy(), lr(ids).asnumpy(), rtol=1e-5, atol=1e-5)


def test_pieces_part_from_their_starting_values_and_learn_what_no_linear_model_can():
    """Exclusive or: the label is 1 where the two fields differ; the best linear model has a log loss of log 2."""
    layout = FieldLayout.single_valued(("a", "b"))
    net = create_model("mlr", layout, 5)
    mx.random.seed(1)
    net.initialize()
    ids = int32(np.array([[1, 3], [1, 4], [2, 3], [2, 4]]))
    label, loss = mx.nd.array([0, 1, 1, 0]), mx.gluon.loss.SigmoidBCELoss()
    trainer = mx.gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.1})
    for _ in range(200):
        with mx.autograd.record():
            total = loss(net(ids), label)
        total.backward()
        trainer.step(4)
    assert total.mean().asscalar() < 0.1


def test_both_tables_are_rows_of_ids_with_sparse_gradients():
    net = small_model("mlr", LAYOUTS["single"])
    tables = [p for p in net.collect_params().values() if is_row_parameter(p.name)]
    assert [(table.shape, table._grad_stype) for table in tables] == [((SIZE, 3), "row_sparse")] * 2


@pytest.mark.parametrize("pieces", [0, 1])
def test_fewer_than_two_pieces_are_refused(pieces):
    with pytest.raises(ConfigError, match="pieces must be 2 or more"):
        small_model("mlr", LAYOUTS["single"], pieces=pieces)
