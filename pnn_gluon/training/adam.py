"""Adam with L2 in the gradient."""

import math

from pnn_gluon.runtime import Tensor, mx
from pnn_gluon.training.rows import native_update


class Adam(mx.optimizer.Adam):  # type: ignore[misc]
    """`mx.optimizer.Adam`, on the CPU by an operator of our own that works in place and with all threads.

    g' = g + l2 w; m = .9 m + .1 g'; v = .999 v + .001 g'^2; w -= a sqrt(1 - .999^t) / (1 - .9^t) m / (sqrt(v) + eps)

    Source: Kingma & Ba (2015). Arguments are those of `mx.optimizer.Adam`.
    """

    def update(self, index: int, weight: Tensor, grad: Tensor, state: tuple[Tensor, Tensor]) -> None:
        """One step on one parameter."""
        if self.clip_gradient or not native_update(weight, grad):
            super().update(index, weight, grad, state)
            return
        self._update_count(index)
        steps = self._index_update_count[index]
        mx.nd.pnn_adam(
            weight,
            grad,
            *state,
            out=weight,
            lr=self._get_lr(index) * math.sqrt(1 - self.beta2**steps) / (1 - self.beta1**steps),
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            l2=self._get_wd(index),
            rescale_grad=self.rescale_grad,
            lazy_update=int(self.lazy_update),
        )
