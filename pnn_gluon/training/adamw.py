"""Adam with decoupled weight decay, which rows that were not in a batch can catch up on."""

import math
from typing import Any

from pnn_gluon.blocks.id_table import is_row_parameter
from pnn_gluon.runtime import Optimizer, Tensor, mx
from pnn_gluon.training.rows import native_update, update_rows


class AdamW(Optimizer):
    """Adam with L2 outside the adaptive step.

    w -= a l2 w; m = .9 m + .1 g; v = .999 v + .001 g^2; w -= a sqrt(1 - .999^t) / (1 - .9^t) m / (sqrt(v) + eps)

    With `lazy_update` a step changes only the rows that a row-sparse gradient holds. With `catch_up` such a row first
    gets the decay of the steps it missed: D_t = sum_{s<=t} log(1 - a_s l2) is kept for the table and, as D of the step
    it was last seen, for each row; a row seen in step t is multiplied by exp(D_t - D of the row). So each row gets all
    the decay that it gets when the whole table decays each step, whatever the learning rates were. The one difference:
    the forward pass of the step that sees a row again still reads it without the decay it missed.

    Source: Loshchilov & Hutter (2019), "Decoupled Weight Decay Regularization", algorithm 2, with its schedule
    multiplier taken for a. `gluonnlp.optimizer.BERTAdam` leaves out Adam's bias correction and makes row-sparse
    gradients dense.

    Args:
        epsilon: Adam's number against division by zero.
        lazy_update: Whether rows outside the batch stay as they are.
        catch_up: Whether tables of ids catch up on decay.
        **kwargs: Of `mx.optimizer.Optimizer`.
    """

    def __init__(self, *, epsilon: float, lazy_update: bool, catch_up: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon, self.lazy_update, self.catch_up = epsilon, lazy_update, catch_up

    def create_state(self, index: int, weight: Tensor) -> tuple[Tensor, ...]:
        """Moments m and v and, for a table that catches up, D of each row (R, 1) and D of the table (1, 1), all 0.

        D is float64: the decay of one step would be lost in the rounding of a float32 sum over many.
        """
        moments = mx.nd.zeros_like(weight), mx.nd.zeros_like(weight)
        if not self._catches_up(index):
            return moments
        rows = mx.nd.zeros((weight.shape[0], 1), ctx=weight.context, dtype="float64")
        return *moments, rows, mx.nd.zeros((1, 1), ctx=weight.context, dtype="float64")

    def _catches_up(self, index: int) -> bool:
        return self.catch_up and is_row_parameter(self.param_dict[index].name)

    def update(self, index: int, weight: Tensor, grad: Tensor, state: tuple[Tensor, ...]) -> None:
        """One step on one parameter."""
        self._update_count(index)
        rate, steps = self._get_lr(index), self._index_update_count[index]
        share = rate * self._get_wd(index)
        settings = {
            "lr": rate * math.sqrt(1 - 0.999**steps) / (1 - 0.9**steps),
            "epsilon": self.epsilon,
            "rescale_grad": self.rescale_grad,
            "lazy_update": int(self.lazy_update),
        }
        if native_update(weight, grad):
            self._native(weight, grad, state, share, settings)
            return
        if share:
            self._decay(weight, grad, state[2:], share)
        mx.nd.sparse.adam_update(weight, grad, *state[:2], out=weight, wd=0.0, **settings)

    def _native(
        self, weight: Tensor, grad: Tensor, state: tuple[Tensor, ...], share: float, settings: dict[str, float]
    ) -> None:
        """The decay and the step in one operator."""
        if len(state) == 4 and self.lazy_update and share:
            total = state[3]
            total += math.log1p(-share)
            mx.nd.pnn_adam(weight, grad, *state, out=weight, catch_up=1, **settings)
        else:
            mx.nd.pnn_adam(weight, grad, *state[:2], out=weight, keep=1 - share, **settings)

    def _decay(self, weight: Tensor, grad: Tensor, decays: tuple[Tensor, ...], share: float) -> None:
        """Take `share` of the weight away: of all of it, or of the rows of the gradient with what they missed."""
        if not self.lazy_update:
            weight *= 1 - share
        elif not decays:
            update_rows(grad, (weight,), lambda _, rows: _scale(rows, 1 - share))
        else:
            of_rows, total = decays
            total += math.log1p(-share)
            update_rows(grad, (weight, of_rows), lambda _, rows, of: _catch_up(rows, of, total))

    def catch_up_all(self, index: int, weight: Tensor, state: tuple[Tensor, ...]) -> None:
        """Give every row of a table the decay it missed up to now."""
        if self._catches_up(index):
            _catch_up(weight, state[2], state[3])


def _scale(rows: Tensor, factor: float) -> None:
    rows *= factor


def _catch_up(rows: Tensor, decay_of_rows: Tensor, decay: Tensor) -> None:
    """Multiply rows (R, K) by exp(decay - decay_of_rows), then set decay_of_rows (R, 1) to `decay` (1, 1)."""
    missed = mx.nd.broadcast_sub(decay, decay_of_rows)  # (R, 1)
    rows *= mx.nd.exp(missed).astype("float32")
    decay_of_rows += missed


def catch_up_decay(trainer: Any) -> None:
    """Give every row of every table the decay it missed, on all devices; nothing for other optimizers."""
    optimizer = trainer._optimizer
    if not isinstance(optimizer, AdamW):
        return
    for device, updater in enumerate(trainer._updaters):
        for index, state in updater.states.items():
            optimizer.catch_up_all(index, trainer._params[index].list_data()[device], state)
