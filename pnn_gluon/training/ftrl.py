"""FTRL-Proximal on the rows of a batch."""

from typing import Any

from pnn_gluon.runtime import Optimizer, Tensor, mx
from pnn_gluon.training.rows import native_update, update_rows


class Ftrl(Optimizer):
    """FTRL-Proximal on the rows that a row-sparse gradient holds; starting values of the weights are kept.

    z += g - (sqrt(n + g^2) - sqrt(n)) / a w; n += g^2;
    w = (sign(z) l1 - z) / ((1 + sqrt(n)) / a + l2) if abs(z) > l1, else 0

    The state z starts where the weight is the minimum it stands for: z = -w (1 / a + l2) - sign(w) l1.
    Source: McMahan et al. (2013), algorithm 1, with beta = 1. MXNet's own FTRL falls back to whole dense tables and
    drops their starting values.
    """

    def __init__(self, l1: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.l1 = l1

    def create_state(self, index: int, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The states z and n of a parameter."""
        scale = 1 / self._get_lr(index) + self._get_wd(index)
        return -weight * scale - mx.nd.sign(weight) * self.l1, mx.nd.zeros_like(weight)

    def update(self, index: int, weight: Tensor, grad: Tensor, state: tuple[Tensor, Tensor]) -> None:
        """One step on one parameter."""
        self._update_count(index)
        rate, l2 = self._get_lr(index), self._get_wd(index)
        if native_update(weight, grad):
            mx.nd.pnn_ftrl(weight, grad, *state, out=weight, lr=rate, l1=self.l1, l2=l2, rescale_grad=self.rescale_grad)
            return
        settings = {"lr": rate, "wd": l2, "lamda1": self.l1, "beta": 1.0}

        def step(g: Tensor, w: Tensor, z: Tensor, n: Tensor) -> None:
            mx.nd.ftrl_update(w, g, z, n, out=w, rescale_grad=self.rescale_grad, **settings)

        update_rows(grad, (weight, *state), step)
