import numpy as np
import pytest
from local_activation_oracle import local_activation
from numpy_models import backward, finite_differences, gradients, randomize

from pnn_gluon.blocks.activation import ACTIVATIONS, Dice
from pnn_gluon.blocks.local_activation import LocalActivation, MaskedDice
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx

ROWS, WIDTH, K = 4, 3, 2
PRESENT = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1], [1, 0, 1]], dtype=np.float32)


def oracle(values, hidden, activation):
    """(B, W); only slots that are present are looked at."""
    where = np.argwhere(PRESENT)
    pairs = [(values["history"][b, s], values["candidate"][b, 0]) for b, s in where]
    weights = np.zeros((ROWS, WIDTH))
    weights[PRESENT > 0] = local_activation(pairs, values, hidden, activation)
    return weights


def some_inputs(seed=2):
    random = np.random.default_rng(seed)
    shapes = {"history": (ROWS, WIDTH, K), "candidate": (ROWS, 1, K)}
    return {name: random.normal(size=shape).astype(np.float32).astype(np.float64) for name, shape in shapes.items()}


def made(hidden, activation, hybrid=True, seed=1):
    net = LocalActivation(K, WIDTH, hidden, activation)
    values = randomize(net, seed)
    net.hybridize(active=hybrid)
    return net, values


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("hidden", [(3,), (3, 2)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_weights_and_gradients_equal_the_equation_over_the_slots_present(activation, hidden, hybrid):
    net, values = made(hidden, activation, hybrid)
    inputs = some_inputs()
    tensors = {name: mx.nd.array(value) for name, value in inputs.items()}
    for tensor in tensors.values():
        tensor.attach_grad()
    weights = np.random.default_rng(3).normal(size=(ROWS, WIDTH))
    found = backward(net, [*tensors.values(), mx.nd.array(PRESENT)], weights)
    values |= inputs
    np.testing.assert_allclose(found, oracle(values, len(hidden), activation), rtol=1e-4, atol=1e-5)
    expected = finite_differences(lambda v: (oracle(v, len(hidden), activation) * weights).sum(), values)
    of_inputs = {name: tensor.grad.asnumpy() for name, tensor in tensors.items()}
    for name, gradient in (gradients(net) | of_inputs).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=2e-3, atol=1e-4, err_msg=name)


def test_weights_are_not_normalized():
    net, _ = made((3,), "tanh")
    net.output.weight.data()[:] = 0
    net.output.bias.data()[:] = 2
    found = net(*(mx.nd.array(value) for value in some_inputs().values()), mx.nd.array(PRESENT))
    assert found.asnumpy().tolist() == (2 * PRESENT).tolist()


@pytest.mark.parametrize("hybrid", [False, True])
def test_masked_dice_with_all_rows_present_is_dice(hybrid):
    random = np.random.default_rng(4)
    x, weights = mx.nd.array(random.normal(2, 3, (6, 3))), random.normal(size=(6, 3))
    x.attach_grad()
    found = {}
    for net, inputs in ((Dice(3), [x]), (MaskedDice(3), [x, mx.nd.ones((6, 1))])):
        randomize(net, 5)
        net.hybridize(active=hybrid)
        trained = backward(net, inputs, weights)
        found[type(net)] = [trained, x.grad.asnumpy(), gradients(net)["slope"], net(*inputs).asnumpy()]
    for masked, plain in zip(found[MaskedDice], found[Dice], strict=True):
        np.testing.assert_allclose(masked, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("hidden", [(), (3, 0)])
def test_an_activation_unit_without_hidden_layers_is_refused(hidden):
    with pytest.raises(ConfigError, match="attention_hidden"):
        LocalActivation(K, WIDTH, hidden, "relu")


def test_an_unknown_activation_is_refused():
    with pytest.raises(ConfigError, match="activation must be one of"):
        LocalActivation(K, WIDTH, (3,), "relo")
