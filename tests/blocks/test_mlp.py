import numpy as np
import pytest
from numpy_models import backward, finite_differences, gradients, mlp, randomize

from pnn_gluon.blocks.activation import ACTIVATIONS
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.blocks.normalization import NORMALIZATIONS
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_and_its_gradients_equal_the_formula(activation, normalization, hybrid):
    net = MLP(3, MLPOptions((5, 4), activation, normalization=normalization), 2)
    values = randomize(net, 1)
    net.hybridize(active=hybrid)
    random = np.random.default_rng(2)
    x = random.normal(size=(6, 3)).astype(np.float32)
    weights = random.normal(size=(6, 2))
    found = backward(net, [mx.nd.array(x)], weights)
    oracle = lambda v: mlp(x, v, 2, activation, normalization)  # noqa: E731
    np.testing.assert_allclose(found, oracle(values), rtol=1e-4, atol=1e-5)
    expected = finite_differences(lambda v: (oracle(v) * weights).sum(), values)
    for name, gradient in gradients(net).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_no_hidden_layer_is_one_dense_layer():
    net = MLP(3, MLPOptions(()))
    values = randomize(net, 3)
    x = np.ones((2, 3))
    np.testing.assert_allclose(
        net(mx.nd.array(x)).asnumpy(), x @ values["layers.0.weight"].T + values["layers.0.bias"], rtol=1e-5
    )


def test_layer_norm_of_a_constant_row_is_finite():
    net = MLP(3, MLPOptions((4,)))
    net.initialize()
    x = mx.nd.zeros((2, 3))
    assert np.isfinite(backward(net, [x], np.ones((2, 1)))).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients(net).values())


def test_dropout_acts_in_training_only_and_keeps_the_mean():
    net = MLP(1, MLPOptions((10_000,), dropout=0.25, normalization="none"))
    net.initialize(mx.init.One())
    net.layers[0].weight.set_data(mx.nd.ones((10_000, 1)))
    net.layers[2].weight.set_data(mx.nd.ones((1, 10_000)) / 10_000)
    x = mx.nd.ones((1, 1))
    assert net(x).asscalar() == pytest.approx(1, abs=1e-4)
    with mx.autograd.train_mode():
        kept = net.layers[:2](x).asnumpy()
    assert set(np.unique(kept.round(5))) == {0, np.float32(1.33333)}
    assert kept.mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    "options", [{"activation": "rleu"}, {"dropout": 1.0}, {"dropout": -0.1}, {"normalization": "group"}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError):
        MLPOptions((4,), **options)


def test_hidden_widths_below_one_are_refused():
    with pytest.raises(ConfigError, match="hidden"):
        MLPOptions((4, 0))
