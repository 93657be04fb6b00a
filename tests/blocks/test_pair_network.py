import numpy as np
import pytest
from numpy_models import backward, finite_differences, gradients, randomize, trainable

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.pair_network import SUBNET_NORMALIZATIONS, PairNetwork
from pnn_gluon.blocks.pairs import field_pairs
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx

N, K, H, D = 4, 3, 5, 2
LAYOUT = FieldLayout.single_valued(("a", "b", "c", "d"))


def normalize(u, mean, variance, gain, shift):
    return (u - mean) / np.sqrt(variance + 1e-5) * gain + shift


def pair_network(v, values, normalization, products=True):
    """One row after the other, one pair after the other: (B, N, K) -> (B, P D)."""
    return np.array([_row(x, values, normalization, products) for x in v])


def _row(x, values, normalization, products):
    pairs = [(i, j) for j in range(len(x)) for i in range(j)]
    inputs = [np.concatenate([x[i], x[j], x[i] * x[j]] if products else [x[i], x[j]]) for i, j in pairs]
    units = np.array(
        [z @ w + b for z, w, b in zip(inputs, values["hidden_weight"], values["hidden_bias"], strict=True)]
    )
    if normalization == "fused":
        units = normalize(units, units.mean(), units.var(), values["gamma"], values["beta"])
    if normalization == "layer":
        gains = zip(values["gamma"], values["beta"], strict=True)
        units = np.array([normalize(u, u.mean(), u.var(), g, b) for u, (g, b) in zip(units, gains, strict=True)])
    outputs = [np.maximum(u, 0) @ w for u, w in zip(units, values["output_weight"], strict=True)]
    return (np.array(outputs) + values.get("output_bias", 0)).ravel()


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("normalization", SUBNET_NORMALIZATIONS)
def test_outputs_and_gradients_equal_the_formula(normalization, hybrid):
    net = PairNetwork(LAYOUT, K, H, D, normalization=normalization)
    check(net, lambda v, values: pair_network(v, values, normalization), hybrid)


def test_products_and_output_bias_can_be_left_out():
    net = PairNetwork(LAYOUT, K, H, 1, products=False, normalization="none", output_bias=False)
    check(net, lambda v, values: pair_network(v, values, "none", products=False), True)


@pytest.mark.parametrize("normalization", SUBNET_NORMALIZATIONS)
def test_two_fields_are_one_pair(normalization):
    net = PairNetwork(FieldLayout.single_valued(("a", "b")), K, H, D, normalization=normalization)
    check(net, lambda v, values: pair_network(v, values, normalization), True, fields=2)


def check(net, oracle, hybrid, fields=N):
    values = randomize(net, 1)
    net.hybridize(active=hybrid, **({"static_alloc": True} if hybrid else {}))
    random = np.random.default_rng(2)
    v = random.normal(size=(3, fields, K)).astype(np.float32).astype(np.float64)
    x = mx.nd.array(v)
    x.attach_grad()
    weights = random.normal(size=oracle(v, values).shape)
    np.testing.assert_allclose(backward(net, [x], weights), oracle(v, values), rtol=1e-4, atol=1e-5)
    expected = finite_differences(lambda all_: (oracle(all_["v"], all_) * weights).sum(), values | {"v": v})
    for name, gradient in (gradients(net) | {"v": x.grad.asnumpy()}).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=2e-3, atol=1e-4, err_msg=name)


def test_fused_normalization_gives_all_units_of_a_row_together_mean_0_and_variance_1():
    net = PairNetwork(LAYOUT, K, H, 1)
    randomize(net, 3)
    net.gamma.set_data(mx.nd.ones((H,)))
    net.beta.set_data(mx.nd.zeros((H,)))
    net.output_bias.set_data(mx.nd.zeros((6, 1)))
    v = mx.nd.array(np.random.default_rng(4).normal(size=(20, N, K)))
    units = np.concatenate([_units(net, v, sign) for sign in (1, -1)], axis=1)  # relu(x) and -relu(-x)
    np.testing.assert_allclose(units.sum(axis=1) / (6 * H), np.zeros(20), atol=1e-4)
    np.testing.assert_allclose((units**2).sum(axis=1) / (6 * H), np.ones(20), rtol=1e-3)


def _units(net, v, sign):
    """sign * relu(sign * x) of each of the P H normalized units x, one unit at a time through the output layer."""
    net.gamma.set_data(sign * mx.nd.ones((H,)))
    columns = []
    for unit in range(H):
        weight = np.zeros((6, H, 1))
        weight[:, unit] = sign
        net.output_weight.set_data(mx.nd.array(weight))
        columns.append(net(v).asnumpy())
    return np.concatenate(columns, axis=1)


@pytest.mark.parametrize("normalization", ["fused", "layer"])
def test_rows_whose_units_are_all_equal_give_the_shift(normalization):
    net = PairNetwork(LAYOUT, K, H, 1, normalization=normalization)
    net.initialize()
    net.hidden_bias.set_data(mx.nd.ones((6, H)) * 1000)
    net.beta.set_data(mx.nd.ones(net.beta.shape) * 0.5)
    net.output_weight.set_data(mx.nd.ones((6, H, 1)))
    found = backward(net, [mx.nd.zeros((2, N, K))], np.ones((2, 6)))
    np.testing.assert_allclose(found, np.full((2, 6), 0.5 * H), atol=0.01)
    assert all(np.isfinite(gradient).all() for gradient in gradients(net).values())


def test_gain_and_shift_are_shared_by_all_pairs_when_fused_and_each_pairs_own_otherwise():
    fused, layer = (PairNetwork(LAYOUT, K, H, D, normalization=name) for name in ("fused", "layer"))
    assert (fused.gamma.shape, fused.beta.shape) == ((H,), (H,))
    assert (layer.gamma.shape, layer.beta.shape) == ((6, H), (6, H))


def test_weights_start_in_the_documented_range():
    net = PairNetwork(LAYOUT, 20, 40, 5)
    net.initialize()
    for weight, ends in ((net.hidden_weight, 60 + 40), (net.output_weight, 40 + 5)):
        largest = np.abs(weight.data().asnumpy()).max()
        assert 0.98 * np.sqrt(6 / ends) < largest <= np.sqrt(6 / ends)
    assert not net.hidden_bias.data().asnumpy().any()
    assert set(trainable(net)) == {"hidden_weight", "hidden_bias", "output_weight", "output_bias", "gamma", "beta"}


def test_pairs_come_in_the_order_12_13_23_14_24_34():
    assert field_pairs(LAYOUT) == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 1, "none"), "subnet_hidden"), ((1, 0, "none"), "subnet_outputs"), ((1, 1, "batch"), "fused, layer, none")],
)
def test_impossible_subnets_are_refused(arguments, message):
    hidden, outputs, normalization = arguments
    with pytest.raises(ConfigError, match=message):
        PairNetwork(LAYOUT, K, hidden, outputs, normalization=normalization)


def test_one_field_has_no_pairs():
    with pytest.raises(ConfigError, match="two fields"):
        PairNetwork(FieldLayout.single_valued(("a",)), K, H, D)
