import numpy as np
import pytest
from numpy_models import backward, finite_differences, gradients, randomize

from pnn_gluon.blocks.cross_network import CrossNetwork
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx

WIDTH = 4


def cross_network(x0, weight, bias):
    """(B, D) -> (B, D), layer by layer as in the paper."""
    rows = []
    for row in x0:
        x = row
        for w, b in zip(weight, bias, strict=True):
            x = row * (x @ w) + b + x
        rows.append(x)
    return np.array(rows)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_cross_network_and_its_gradients_equal_the_layers_one_by_one(layers, hybrid):
    net = CrossNetwork(WIDTH, layers)
    values = randomize(net, 1)
    net.hybridize(active=hybrid)
    random = np.random.default_rng(2)
    values["x"] = random.normal(size=(6, WIDTH)).astype(np.float32).astype(np.float64)
    weights = random.normal(size=(6, WIDTH))
    x = mx.nd.array(values["x"])
    x.attach_grad()
    found = backward(net, [x], weights)
    oracle = lambda v: cross_network(v["x"], v["weight"], v["bias"])  # noqa: E731
    np.testing.assert_allclose(found, oracle(values), rtol=1e-4, atol=1e-5)
    expected = finite_differences(lambda v: (oracle(v) * weights).sum(), values)
    for name, gradient in (gradients(net) | {"x": x.grad.asnumpy()}).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-3, atol=1e-3, err_msg=name)


def test_degree_grows_by_one_in_each_layer():
    net = CrossNetwork(1, 3)
    net.initialize()
    net.weight.set_data(mx.nd.ones((3, 1)))
    x = np.array([[0.5], [1.0], [2.0]])
    np.testing.assert_allclose(net(mx.nd.array(x)).asnumpy(), x * (1 + x) ** 3, rtol=1e-6)


def test_starting_weights_fill_xaviers_range_and_biases_are_zero():
    net = CrossNetwork(2000, 2)
    mx.random.seed(1)
    net.initialize()
    largest = np.abs(net.weight.data().asnumpy()).max(axis=1)
    assert (largest > 0.99 * np.sqrt(6 / 2001)).all()
    assert (largest <= np.sqrt(6 / 2001)).all()
    assert not net.bias.data().asnumpy().any()


def test_no_layer_is_refused():
    with pytest.raises(ConfigError, match="cross_layers must be 1 or more, not 0"):
        CrossNetwork(WIDTH, 0)
