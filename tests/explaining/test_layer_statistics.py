"""Norms of parameters and gradients against finite differences of the equation."""

import numpy as np
import pytest
from numpy_models import field_vectors, finite_differences, mlp, randomize, within

from pnn_gluon.explaining.layer_statistics import GRADIENT_ROWS, layer_statistics
from pnn_gluon.explaining.rows import Rows
from pnn_gluon.models.declared import declared_models
from tests.models.model_checks import LAYOUTS, SIZE, small_model, some_ids

LAYOUT = LAYOUTS["multi"]
NETWORKS = sorted(name for name, model in declared_models().items() if model.family == "network")


def rows_of(ids):
    label = (np.arange(len(ids)) % 3 == 0).astype(float)
    row = np.arange(len(ids), dtype=np.uint64)
    return Rows(ids, label, row, row, len(ids))


def fnn_loss(ids, label, rate):
    """The weighted mean log loss of an FNN as a function of its parameters."""
    weight = np.where(label == 1, 1.0, rate)

    def loss(values):
        v = field_vectors(LAYOUT, ids, values["embedding.embedding_weight"]).reshape(len(ids), -1)
        logit = mlp(v, within(values, "mlp"), 2)[:, 0]
        return (weight * (np.logaddexp(0, logit) - label * logit)).sum() / weight.sum()

    return loss


def test_norms_of_a_network_with_dropout_are_those_of_its_equation_without():
    rows = rows_of(some_ids(LAYOUT, rows=12))
    net = small_model("fnn", LAYOUT, dropout=0.5)
    values = randomize(net, 5)
    plain = {name.replace("layers.3", "layers.2").replace("layers.6", "layers.4"): name for name in values}
    renamed = {short: values[name] for short, name in plain.items()}
    gradient = finite_differences(fnn_loss(rows.ids, rows.label, 0.25), renamed)
    found = layer_statistics(net, rows, rate=0.25)
    assert [each.layer for each in found] == ["embedding", "mlp.layers.0", "mlp.layers.3", "mlp.layers.6"]
    for each in found:
        own = [short for short, name in plain.items() if name.rpartition(".")[0] == each.layer]
        numbers, slopes = (np.concatenate([of[name].ravel() for name in own]) for of in (renamed, gradient))
        assert each.parameters == numbers.size
        np.testing.assert_allclose(each.parameter_norm, np.linalg.norm(numbers), rtol=1e-6)
        np.testing.assert_allclose(each.gradient_norm, np.linalg.norm(slopes), rtol=1e-3)
        if each.layer != "embedding":
            np.testing.assert_allclose(each.mean_gradient, np.abs(slopes).mean(), rtol=1e-3)


def test_the_mean_gradient_of_an_embedding_is_that_of_the_ids_of_the_batch():
    rows = rows_of(np.array([[1, 2, 0, 0, 3, 4], [5, 2, 3, 0, 3, 4]], np.int32))
    net = small_model("fm", LAYOUT)
    randomize(net, 5)
    embedding = {each.layer: each for each in layer_statistics(net, rows, 1.0)}["embedding"]
    gradient = net.embedding.embedding_weight.grad().tostype("default").asnumpy()
    assert not gradient[6:].any()
    np.testing.assert_allclose(embedding.mean_gradient, np.abs(gradient[1:6]).mean(), rtol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_finite_statistics_of_all_its_parameters_with_gradients(name):
    net = small_model(name, LAYOUT)
    values = randomize(net, 5)
    found = layer_statistics(net, rows_of(some_ids(LAYOUT, rows=20)), 0.5)
    assert sum(each.parameters for each in found) == sum(value.size for value in values.values())
    assert all(np.isfinite(each.gradient_norm) and each.parameter_norm > 0 for each in found)
    assert max(each.gradient_norm for each in found) > 0


def test_only_the_first_rows_are_the_batch():
    ids = np.random.default_rng(1).integers(1, SIZE, (GRADIENT_ROWS + 500, LAYOUT.slots)).astype(np.int32)
    rows, nets = rows_of(ids), [small_model("fm", LAYOUT) for _ in range(2)]
    for net in nets:
        randomize(net, 5)
    first = Rows(*(array[:GRADIENT_ROWS] for array in (ids, rows.label, rows.row, rows.unit)), GRADIENT_ROWS)
    assert layer_statistics(nets[0], rows, 1.0) == layer_statistics(nets[1], first, 1.0)


def test_without_rows_there_are_norms_of_parameters_alone():
    net = small_model("fm", LAYOUT)
    randomize(net, 5)
    found = layer_statistics(net, Rows.none(LAYOUT.slots), 1.0)
    assert {each.gradient_norm for each in found} == {each.mean_gradient for each in found} == {None}
    assert min(each.parameter_norm for each in found) > 0


def test_rows_with_weights_have_the_gradient_of_the_same_rows_written_out():
    rows, times = rows_of(some_ids(LAYOUT, rows=12)), np.arange(12) % 4 + 1
    weighted = Rows(rows.ids, rows.label, rows.row, rows.unit, 12, times.astype(float))
    single = Rows(*(np.repeat(each, times, axis=0) for each in (rows.ids, rows.label, rows.row, rows.unit)), 30)
    nets = [small_model("fnn", LAYOUT) for _ in range(2)]
    for net in nets:
        randomize(net, 5)
    found, expected = layer_statistics(nets[0], weighted, 0.25), layer_statistics(nets[1], single, 0.25)
    for one, other in zip(found, expected, strict=True):
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-4)
        assert one.mean_gradient == pytest.approx(other.mean_gradient, rel=1e-4)
    assert found != layer_statistics(nets[0], rows, 0.25)
