import numpy as np
import pytest
from numpy_models import batch_norm, finite_differences

from pnn_gluon.blocks.masked_batch_norm import MaskedBatchNorm
from pnn_gluon.runtime import mx

ROWS, UNITS = 7, 3
PRESENT = np.array([1, 1, 0, 1, 0, 1, 1], dtype=bool)


def made(hybrid=True):
    net = MaskedBatchNorm(UNITS)
    net.initialize()
    net.hybridize(active=hybrid)
    return net


def some_rows(seed=1):
    return np.random.default_rng(seed).normal(1, 2, (ROWS, UNITS)).astype(np.float32).astype(np.float64)


def train(net, x, present=PRESENT, weights=None):
    """Output in training and the gradient of sum(output * weights) with respect to x."""
    data, mask = mx.nd.array(x), mx.nd.array(present[:, None])
    data.attach_grad()
    with mx.autograd.record():
        output = net(data, mask)
        total = (output * mx.nd.array(np.ones_like(x) if weights is None else weights)).sum()
    total.backward()
    return output.asnumpy(), data.grad.asnumpy()


def running(net):
    return net.running_mean.data().asnumpy(), net.running_var.data().asnumpy()


@pytest.mark.parametrize("hybrid", [False, True])
def test_training_normalizes_with_the_rows_present(hybrid):
    x = some_rows()
    weights = np.random.default_rng(2).normal(size=x.shape) * PRESENT[:, None]
    found, gradient = train(made(hybrid), x, weights=weights)
    oracle = lambda x: batch_norm(x[PRESENT], np.ones(UNITS), np.zeros(UNITS))  # noqa: E731
    np.testing.assert_allclose(found[PRESENT], oracle(x), rtol=1e-4, atol=1e-5)
    expected = finite_differences(lambda v: (oracle(v["x"]) * weights[PRESENT]).sum(), {"x": x})["x"]
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)
    assert not gradient[~PRESENT].any()


@pytest.mark.parametrize("hybrid", [False, True])
def test_running_means_follow_the_rows_present_and_serve_at_inference(hybrid):
    net, mean, var = made(hybrid), np.zeros(UNITS), np.ones(UNITS)
    for seed in range(3):
        x = some_rows(seed)
        train(net, x)
        mean = 0.9 * mean + 0.1 * x[PRESENT].mean(axis=0)
        var = 0.9 * var + 0.1 * x[PRESENT].var(axis=0)
    for found, expected in zip(running(net), (mean, var), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    x = some_rows(9)
    found = net(mx.nd.array(x), mx.nd.array(PRESENT[:, None])).asnumpy()
    np.testing.assert_allclose(found, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-5)
    for after, before in zip(running(net), (mean, var), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)


def test_absent_rows_have_no_influence():
    nets, x = (made(), made()), some_rows()
    other = np.where(PRESENT[:, None], x, 1e6)
    outputs = [train(net, rows)[0][PRESENT] for net, rows in zip(nets, (x, other), strict=True)]
    np.testing.assert_array_equal(*outputs)
    np.testing.assert_array_equal(running(nets[0]), running(nets[1]))


def test_a_batch_without_rows_present_leaves_the_running_means():
    net = made()
    train(net, some_rows())
    before = running(net)
    _, gradient = train(net, some_rows(2), present=np.zeros(ROWS, dtype=bool))
    np.testing.assert_allclose(running(net), before, rtol=1e-5)
    assert np.isfinite(gradient).all()


def test_equal_rows_become_zeros_with_finite_gradients():
    found, gradient = train(made(), np.full((ROWS, UNITS), 4.0))
    np.testing.assert_allclose(found, 0, atol=1e-6)
    assert np.isfinite(gradient).all()


def test_output_at_inference_does_not_depend_on_the_other_rows():
    net, x = made(), some_rows()
    train(net, x)
    other = np.concatenate([x[:1], some_rows(5)[1:]])
    outputs = [net(mx.nd.array(rows), mx.nd.array(PRESENT[:, None])).asnumpy()[0] for rows in (x, other)]
    np.testing.assert_array_equal(*outputs)
