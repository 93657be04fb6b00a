from fractions import Fraction

import numpy as np
import pytest

from pnn_gluon.blocks.mixture_logit import mixture_logit
from pnn_gluon.runtime import HybridBlock, mx


class MixtureLogit(HybridBlock):
    """mixture_logit as a block, to trace it."""

    def hybrid_forward(self, F, gates, scores):
        return mixture_logit(F, gates, scores)


def with_gradients(gates, scores, hybrid=False):
    net = MixtureLogit()
    net.hybridize(active=hybrid)
    tensors = [mx.nd.array(gates), mx.nd.array(scores)]
    for tensor in tensors:
        tensor.attach_grad()
    with mx.autograd.record():
        found = net(*tensors)
    found.backward()
    return found.asnumpy(), tensors[0].grad.asnumpy(), tensors[1].grad.asnumpy()


@pytest.mark.parametrize("hybrid", [False, True])
def test_value_and_gradients_equal_the_mixture_of_probabilities(hybrid):
    random = np.random.default_rng(1)
    u, w = (random.normal(0, 2, (50, 4)).astype(np.float32).astype(np.float64) for _ in range(2))
    found, of_gates, of_scores = with_gradients(u, w, hybrid)
    share = np.exp(u) / np.exp(u).sum(axis=1, keepdims=True)
    piece = 1 / (1 + np.exp(-w))
    p = (share * piece).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, np.log(p / (1 - p))[:, 0], rtol=1e-4, atol=1e-5)
    slope = 1 / (p * (1 - p))  # of the logit by p
    np.testing.assert_allclose(of_gates, slope * share * (piece - p), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(of_scores, slope * share * piece * (1 - piece), rtol=1e-3, atol=1e-5)


def test_equal_scores_give_that_score_whatever_the_gates_and_however_large():
    scores = np.array([0, 1e-3, -20, 20, 90, -90, 1e4, -1e4, 1e30])
    gates = np.random.default_rng(2).normal(0, 30, (len(scores), 3))
    found, of_gates, of_scores = with_gradients(gates, np.repeat(scores[:, None], 3, axis=1))
    np.testing.assert_allclose(found, scores, rtol=1e-6, atol=1e-6)
    assert np.isfinite(of_gates).all()
    np.testing.assert_allclose(of_scores.sum(axis=1), 1, rtol=1e-5)


def test_probabilities_that_float32_rounds_to_one_or_zero_keep_their_logit():
    """Two pieces with equal gates and scores s and t: p = (sigmoid(s) + sigmoid(t)) / 2."""
    s, t = 60, 70
    p = (1 / (1 + Fraction(np.exp(-s))) + 1 / (1 + Fraction(np.exp(-t)))) / 2
    odds = p / (1 - p)
    expected = np.log(float(odds))
    found, *slopes = with_gradients(np.zeros((2, 2)), np.array([[s, t], [-s, -t]]))
    np.testing.assert_allclose(found, [expected, -expected], rtol=1e-6)
    assert np.isfinite(slopes).all()


def test_pieces_that_disagree_completely_are_weighted_by_their_gates():
    found, of_gates, _ = with_gradients(np.array([[1.5, 0.0]]), np.array([[200.0, -200.0]]))
    np.testing.assert_allclose(found, [1.5], rtol=1e-6)
    np.testing.assert_allclose(of_gates, [[1, -1]], rtol=1e-5)
