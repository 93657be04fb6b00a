"""The logit of a mixture of probabilities."""

from typing import Any

from pnn_gluon.runtime import Tensor


def mixture_logit(F: Any, gates: Tensor, scores: Tensor) -> Tensor:
    """log p - log(1 - p) of p = sum_m softmax_m(gates) sigmoid(scores_m): (B, M), (B, M) -> (B,).

    log p = logsumexp_m(log softmax_m(gates) + log sigmoid(scores_m)), and log(1 - p) the same with -scores_m, as the
    gates add up to 1. Finite, with finite gradients, for scores of any size: p itself, which would round to 0 or 1, is
    never computed, and nothing cancels, as log p and log(1 - p) are never both below -log 2.
    """
    shares = F.log_softmax(gates, axis=1)  # (B, M)
    return _log_sum_exp(F, shares + _log_sigmoid(F, scores)) - _log_sum_exp(F, shares + _log_sigmoid(F, -scores))


def _log_sigmoid(F: Any, x: Tensor) -> Tensor:
    return -F.Activation(-x, act_type="softrelu")


def _log_sum_exp(F: Any, x: Tensor) -> Tensor:
    """x (B, M) -> (B,); the largest is taken out, which changes neither the value nor the gradient."""
    largest = F.BlockGrad(F.max(x, axis=1, keepdims=True))  # (B, 1)
    return F.log(F.sum(F.exp(F.broadcast_sub(x, largest)), axis=1)) + F.reshape(largest, shape=(-1,))  # (B,)
