import numpy as np
import pytest
from numpy_models import activate, backward, finite_differences, gradients, normalize, randomize, within

from pnn_gluon.blocks.activation import ACTIVATIONS
from pnn_gluon.blocks.normalization import NORMALIZATIONS
from pnn_gluon.blocks.residual_unit import ResidualOptions, ResidualUnit
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx

WIDTH, INNER = 4, 3


def residual_unit(x, values, activation, normalization):
    """(B, WIDTH) -> (B, WIDTH), from the equation of Shan et al. with normalizations g."""
    normalized = normalization != "none"
    last = 4 if normalized else 3  # dense, g, activation, dropout, dense, g
    h = x @ values["layers.0.weight"].T + values["layers.0.bias"]
    h = normalize(h, normalization, within(values, "layers.1"))
    h = activate(h, activation, within(values, "layers.2" if normalized else "layers.1"))
    h = h @ values[f"layers.{last}.weight"].T + values[f"layers.{last}.bias"]
    h = normalize(h, normalization, within(values, f"layers.{last + 1}"))
    return activate(x + h, activation, within(values, "activation"))


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_residual_unit_and_its_gradients_equal_the_formula(activation, normalization, hybrid):
    net = ResidualUnit(WIDTH, INNER, ResidualOptions((INNER,), activation, normalization=normalization))
    values = randomize(net, 1)
    net.hybridize(active=hybrid)
    random = np.random.default_rng(2)
    x = random.normal(size=(6, WIDTH)).astype(np.float32)
    weights = random.normal(size=x.shape)
    found = backward(net, [mx.nd.array(x)], weights)
    oracle = lambda v: residual_unit(x.astype(np.float64), v, activation, normalization)  # noqa: E731
    np.testing.assert_allclose(found, oracle(values), rtol=1e-4, atol=1e-5)
    expected = finite_differences(lambda v: (oracle(v) * weights).sum(), values)
    for name, gradient in gradients(net).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=2e-3, atol=1e-3, err_msg=name)


def test_unit_with_zero_weights_passes_its_input_on():
    net = ResidualUnit(WIDTH, INNER, ResidualOptions((INNER,), normalization="none"))
    net.initialize(mx.init.Zero())
    for dense in (net.layers[0], net.layers[3]):
        dense.weight.set_data(mx.nd.zeros(dense.weight.shape))
    x = mx.nd.array([[1, 2, 3, 4]])
    assert net(x).asnumpy().tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("training", [False, True])
def test_dropout_acts_on_the_inner_units_in_training_only(training):
    inner = 10_000
    net = ResidualUnit(1, inner, ResidualOptions((inner,), dropout=0.25, normalization="none"))
    net.initialize()
    net.layers[0].weight.set_data(mx.nd.ones((inner, 1)))
    with mx.autograd.train_mode() if training else mx.autograd.predict_mode():
        kept = net.layers[:3](mx.nd.ones((1, 1))).asnumpy()
    assert set(np.unique(kept.round(5))) == ({0, np.float32(1.33333)} if training else {1})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("residual_units", ()),
        ("residual_units", (4, 0)),
        ("activation", "rleu"),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("normalization", "group"),
    ],
)
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ConfigError, match=option):
        ResidualOptions(**{option: value})
