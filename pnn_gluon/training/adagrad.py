"""AdaGrad with one accumulated number for each weight or for each row."""

import math
from typing import Any

from pnn_gluon.runtime import Optimizer, Tensor, mx
from pnn_gluon.training.rows import native_update, update_rows


class AdaGrad(Optimizer):
    """AdaGrad with L2 in the gradient, on the rows that a row-sparse gradient holds.

    g' = g + l2 w; n += g'^2; w -= a g' / sqrt(n + eps). Source: Duchi et al. (2011). MXNet's own sparse AdaGrad
    refuses weight decay.
    """

    def __init__(self, eps: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.eps = eps

    def create_state(self, index: int, weight: Tensor) -> Tensor:
        """The sum of squared gradients, 0."""
        return mx.nd.zeros_like(weight)

    def squares(self, gradient: Tensor) -> Tensor:
        """What a gradient (R, ...) adds to the state."""
        return mx.nd.square(gradient)

    def update(self, index: int, weight: Tensor, grad: Tensor, state: Tensor) -> None:
        """One step on one parameter."""
        self._update_count(index)
        rate, decay = self._get_lr(index), self._get_wd(index)
        if native_update(weight, grad):
            self._native(weight, grad, state, lr=rate, epsilon=self.eps, l2=decay, rescale_grad=self.rescale_grad)
            return

        def step(g: Tensor, w: Tensor, n: Tensor) -> None:
            g = g * self.rescale_grad + decay * w
            n += self.squares(g)
            w -= rate * g / mx.nd.sqrt(n + self.eps)

        update_rows(grad, (weight, state), step)

    def _native(self, weight: Tensor, grad: Tensor, state: Tensor, **settings: float) -> None:
        mx.nd.pnn_adagrad(weight, grad, state, out=weight, **settings)


class GroupAdaGrad(AdaGrad):
    """AdaGrad with one accumulated number n_r for each row r (index of the first dimension) of a weight.

    g'_r = g_r + l2 w_r; n_r += mean(g'_r^2); w_r -= a g'_r / sqrt(n_r + eps)

    So all weights of an id have one learning rate, and the state of a table of V rows is V numbers. For a weight of
    one dimension this is plain AdaGrad. The rule is that of `mx.optimizer.contrib.GroupAdaGrad`, which takes neither
    weight decay nor weights of other than two dimensions.
    """

    def create_state(self, index: int, weight: Tensor) -> Tensor:
        """The sums (R, 1, ...) of mean squares, 0."""
        return mx.nd.zeros((weight.shape[0], *(1 for _ in weight.shape[1:])), ctx=weight.context)

    def squares(self, gradient: Tensor) -> Tensor:
        """Mean squares (R, 1, ...) of the rows of a gradient (R, ...)."""
        width = math.prod(gradient.shape[1:])
        mean = mx.nd.full((width, 1), 1 / width, ctx=gradient.context)  # a dense product is faster than mean(axis=1)
        means = mx.nd.dot(mx.nd.square(gradient).reshape((-1, width)), mean)  # (R, 1)
        return means.reshape((-1, *(1 for _ in gradient.shape[1:])))

    def _native(self, weight: Tensor, grad: Tensor, state: Tensor, **settings: float) -> None:
        mx.nd.pnn_group_adagrad(weight, grad, state, out=weight, **settings)
