"""The log loss, native and plain; float64 is the oracle where logits are 0, tiny, large or not a number."""

import numpy as np
import pytest
from ops_checks import check_twins

from pnn_gluon.runtime import mx
from pnn_gluon.training.loss import LogLoss

LOGITS = [0.0, 1e-30, -1e-8, 0.3, -0.3, 5.0, -17.0, 20.0, 88.0, -88.0, 1e4, -1e4, 3e38, -3e38]


@pytest.mark.parametrize("rows", [1, 5, 64, 2001])
def test_native_equals_plain(rows):
    check_twins(LogLoss, [(rows,), (rows,)])


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("clicked", [0.0, 1.0])
def test_loss_and_gradient_are_right_to_the_last_bits_for_all_logits(clicked, hybrid):
    z, loss = mx.nd.array(LOGITS), LogLoss()
    loss.hybridize(active=hybrid)
    z.attach_grad()
    with mx.autograd.record():
        found = loss(z, mx.nd.full(z.shape, clicked))
    found.backward()
    s = (1 - 2 * clicked) * np.float64(z.asnumpy())
    np.testing.assert_allclose(found.asnumpy(), np.logaddexp(0, s), rtol=3e-7)
    with np.errstate(over="ignore"):
        gradient = (1 - 2 * clicked) / (1 + np.exp(-s))
    np.testing.assert_allclose(z.grad.asnumpy(), gradient, rtol=3e-7, atol=1e-44)


def test_not_a_number_stays_visible():
    z = mx.nd.array([np.nan, 1, np.inf, -np.inf])
    z.attach_grad()
    with mx.autograd.record():
        found = LogLoss()(z, mx.nd.array([1, np.nan, 1, 1]))
    found.backward()
    np.testing.assert_array_equal(found.asnumpy(), [np.nan, np.nan, 0, np.inf])
    np.testing.assert_array_equal(z.grad.asnumpy(), [np.nan, np.nan, 0, -1])
