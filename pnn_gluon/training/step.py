"""One training step: a batch divided over the devices, gradients added up, parameters updated."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.runtime import HybridBlock, Tensor, mx
from pnn_gluon.training.cut_tables import by_whole_name
from pnn_gluon.training.loss import make_loss
from pnn_gluon.training.options import LossName


class TrainingStep:
    """Forward, backward and update of one batch; calling it gives the loss sums of the devices, not yet computed.

    The update is that of the mean loss over the batch, however it was divided; with weights w of the rows it is that
    of sum w loss / sum w, as if each row were there w times. So the learning rate means the same with weights and
    without, and so does the norm that gradients are clipped to.

    Args:
        net: Initialized network: ids (B, S) -> outputs (B,).
        trainer: Trainer of its parameters, with `update_on_kvstore` off.
        places: The devices the parameters are on.
        clip_norm: Largest norm of the gradient; None for no limit.
        loss: What to minimize; see `make_loss`.
    """

    def __init__(
        self,
        net: HybridBlock,
        trainer: Any,
        places: Sequence[Any],
        clip_norm: float | None,
        loss: LossName = "log",
    ) -> None:
        self._net, self._trainer, self._places, self._clip_norm = net, trainer, places, clip_norm
        self._loss = make_loss(loss)

    def __call__(
        self, ids: NDArray[np.int32], label: NDArray[np.float32], weight: NDArray[np.float32] | None = None
    ) -> list[Tensor]:
        """Take one step; ids int32 (B, S), label float32 (B,), weight > 0 float32 (B,) or none."""
        with mx.autograd.record():
            losses = [self._loss(self._net(x), y) * w for x, y, w in self._divide(ids, label, weight)]
        mx.autograd.backward(losses)
        self._update(examples_of(ids, label, weight))
        return [loss.sum() for loss in losses]

    def _divide(
        self, ids: NDArray[np.int32], label: NDArray[np.float32], weight: NDArray[np.float32] | None
    ) -> Iterator[tuple[Tensor, Tensor, Tensor | float]]:
        """Rows for each device and what they weigh; a device that gets none computes the first row with weight 0."""
        parts = np.array_split(np.arange(len(label)), len(self._places))
        for place, part in zip(self._places, parts, strict=True):
            rows = slice(part[0], part[-1] + 1) if len(part) else slice(0, 1)
            x = mx.nd.array(ids[rows], dtype="int32", ctx=place)
            y, counts = mx.nd.array(label[rows], dtype="float32", ctx=place), float(len(part) > 0)
            yield x, y, counts if weight is None else mx.nd.array(weight[rows] * counts, dtype="float32", ctx=place)

    def _update(self, rows: float) -> None:
        if self._clip_norm is None:
            self._trainer.step(rows)
            return
        self._trainer.allreduce_grads()
        norm = gradient_norm(self._net.collect_params().values()) / rows
        self._trainer.update(rows * max(1.0, norm / self._clip_norm))


def examples_of(ids: NDArray[np.int32], label: NDArray[np.float32], weight: NDArray[np.float32] | None = None) -> float:
    """How many examples a batch of ids (B, S) and labels (B,) counts as: its rows, or the sum of their weights (B,)."""
    return len(label) if weight is None else float(weight.sum(dtype=np.float64))


def gradient_norm(parameters: Any) -> float:
    """2-norm of the gradients on the first device, over all parameters, after they were added up.

    Reads only the rows that row-sparse gradients hold; `gluonnlp.utils.clip_grad_global_norm` would make them dense.
    """
    grads = {each.name: each.list_grad()[0] for each in parameters if each.grad_req != "null"}
    held = [_held(parts) for parts in by_whole_name(grads).values()]
    squares = mx.nd.multi_sum_sq(*held, num_arrays=len(held)).asnumpy()
    return math.sqrt(float(squares.sum(dtype=np.float64)))


def _held(parts: list[Tensor]) -> Tensor:
    """The numbers that a gradient holds; those of the parts of a table behind one another, as of a whole table."""
    if len(parts) == 1:
        return parts[0] if parts[0].stype == "default" else parts[0].data
    return mx.nd.concat(*(part.data for part in parts if part.indices.size), dim=0)
