import numpy as np
import pytest
from numpy_models import backward, field_vectors, finite_differences, gradients, int32, mlp, randomize, within

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.experiments.one_hot_dnn import OneHotDNN
from pnn_gluon.runtime import mx

LAYOUT = FieldLayout.single_valued(("a", "b", "c"))
MULTI = FieldLayout.from_widths({"a": 1, "tags": 3, "b": 1})
SIZE = 9


def one_hot_dnn(ids, values, layers):
    """Logits (B,) by the matrix product with the one-hot rows x (B, V)."""
    x = np.array([np.isin(np.arange(SIZE), row) for row in ids], float)
    h = np.maximum(x @ values["first.linear_weight"] + values["first.bias"], 0)
    return relu_mlp(h, within(values, "mlp"), layers)


def relu_mlp(h, values, layers):
    return mlp(h, values, layers, activation="relu")[:, 0]


def some_ids(layout=LAYOUT, rows=6):
    """Each slot draws from ids of its own, so that none comes twice in a row."""
    own = (SIZE - 1) // layout.slots
    draw = np.random.default_rng(1).integers(0, own, (rows, layout.slots))
    return (1 + draw + own * np.arange(layout.slots)).astype(np.int32)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("hidden", [(5,), (5, 4), (5, 4, 3)])
def test_logits_and_gradients_equal_the_product_with_one_hot_rows(hidden, hybrid):
    net, ids = OneHotDNN(LAYOUT, SIZE, hidden), some_ids()
    values = randomize(net, 2)
    net.hybridize(active=hybrid)
    weights = np.random.default_rng(3).normal(size=len(ids))
    found = backward(net, [int32(ids)], weights)
    np.testing.assert_allclose(found, one_hot_dnn(ids, values, len(hidden) - 1), rtol=1e-4, atol=1e-5)
    expected = finite_differences(lambda v: (one_hot_dnn(ids, v, len(hidden) - 1) * weights).sum(), values)
    for name, gradient in gradients(net).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_multi_valued_fields_count_as_the_mean_of_their_rows_and_padding_as_nothing():
    net, ids = OneHotDNN(MULTI, SIZE, (5, 4)), some_ids(MULTI)
    ids[0, 1:4], ids[1, 2:4] = 0, 0
    values = randomize(net, 4)
    h = field_vectors(MULTI, ids, values["first.linear_weight"]).sum(axis=1) + values["first.bias"]
    expected = relu_mlp(np.maximum(h, 0), within(values, "mlp"), 1)
    np.testing.assert_allclose(net(int32(ids)).asnumpy(), expected, rtol=1e-4, atol=1e-5)


def test_first_layer_starts_as_a_dense_layer_on_all_ids_does():
    net, size, width = OneHotDNN(LAYOUT, 400, (64,)), 400, 64
    mx.random.seed(1)
    net.initialize()
    start = np.abs(net.first.linear_weight.data().asnumpy())
    bound = np.sqrt(6 / (size + width))
    assert 0.99 * bound < start.max() <= np.float32(bound)
    assert start.mean() == pytest.approx(bound / 2, rel=0.02)


@pytest.mark.parametrize("hidden", [(), (0,), (4, -1)])
def test_hidden_layers_must_be_some_and_not_empty(hidden):
    with pytest.raises(ConfigError, match="hidden"):
        OneHotDNN(LAYOUT, SIZE, hidden)
