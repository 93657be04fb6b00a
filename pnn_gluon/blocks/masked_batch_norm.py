"""Batch normalization over the rows that are present."""

from typing import Any

from pnn_gluon.blocks.activation import NORMALIZATION_EPSILON
from pnn_gluon.runtime import HybridBlock, Tensor


class MaskedBatchNorm(HybridBlock):
    """(x - mean) / sqrt(var + epsilon) with statistics of the rows present: x (R, H), present (R, 1) -> (R, H).

    present is 1 or 0; mean = sum_r present_r x_r / sum_r present_r, var alike. In training these are the batch's,
    and running means follow them (a tenth of the way each step; a batch without any row present changes nothing); at
    inference the running means stand for them. Without scale and shift. Rows that are absent have no influence.

    MXNet keeps running means only inside its `BatchNorm`, which counts all rows. So that operator is given two rows,
    mean - deviation and mean + deviation, which have the same statistics, and says which ones to use. It passes no
    gradient to them: that goes by way of the mean and variance computed here, whose values cancel.
    Sums over rows and copies to all rows are matrix products: MXNet's `sum` and broadcasting are several times slower.
    Source: Ioffe and Szegedy (2015), algorithm 1, with rows left out.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        frozen: dict[str, Any] = {"shape": (units,), "grad_req": "null", "differentiable": False}
        with self.name_scope():
            self.running_mean = self.params.get("running_mean", init="zeros", **frozen)
            self.running_var = self.params.get("running_var", init="ones", **frozen)

    def hybrid_forward(self, F: Any, x: Tensor, present: Tensor, running_mean: Tensor, running_var: Tensor) -> Tensor:
        """x (R, H), present (R, 1) -> (R, H)."""
        every = F.ones_like(present)  # (R, 1)
        count = F.dot(present, present, transpose_a=True)  # (1, 1)
        mean = _mean(F, x, present, count)  # (1, H)
        var = _mean(F, F.square(x - F.dot(every, mean)), present, count)  # (1, H)
        rows = _two_rows(F, mean, var, count, running_mean, running_var)  # (2, H)
        used_mean, used_scale = _statistics(F, rows, running_mean, running_var)  # (1, H) each
        scale = F.rsqrt(var + NORMALIZATION_EPSILON)  # (1, H)
        centred = x - F.dot(every, used_mean + _nothing(F, mean))  # (R, H)
        return centred * F.dot(every, used_scale + _nothing(F, scale))  # (R, H)


def _mean(F: Any, x: Tensor, present: Tensor, count: Tensor) -> Tensor:
    """Mean of the rows present, zeros if there are none: (1, H)."""
    return F.broadcast_div(F.dot(present, x, transpose_a=True), F.maximum(count, 1.0))


def _nothing(F: Any, x: Tensor) -> Tensor:
    """0 with the gradient of x."""
    return x - F.BlockGrad(x)


def _two_rows(F: Any, mean: Tensor, var: Tensor, count: Tensor, running_mean: Tensor, running_var: Tensor) -> Tensor:
    """Two rows with this mean and variance, or with the running ones if no row is present: (2, H)."""
    empty = 1 - F.minimum(count, 1.0)  # (1, 1)
    kept_mean = F.dot(empty, F.BlockGrad(F.reshape(running_mean, shape=(1, -1))))  # (1, H)
    kept_var = F.dot(empty, F.BlockGrad(F.reshape(running_var, shape=(1, -1))))  # (1, H)
    middle, deviation = mean + kept_mean, F.sqrt(F.BlockGrad(var) + kept_var)  # sqrt has no gradient at 0
    return F.concat(middle - deviation, middle + deviation, dim=0)


def _statistics(F: Any, rows: Tensor, running_mean: Tensor, running_var: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and 1 / sqrt(var + epsilon) to use: of the rows in training, the running ones at inference: (1, H)."""
    _, mean, scale = F.BatchNorm(
        rows,
        F.ones_like(running_mean),
        F.zeros_like(running_mean),
        running_mean,
        running_var,
        eps=NORMALIZATION_EPSILON,
        momentum=0.9,
        output_mean_var=True,
        cudnn_off=True,  # cuDNN keeps the variance divided by rows - 1: twice that of two rows
    )
    return F.reshape(mean, shape=(1, -1)), F.reshape(scale, shape=(1, -1))
