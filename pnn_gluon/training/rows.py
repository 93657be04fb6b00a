"""Updates of the rows that a row-sparse gradient holds, and of no others; where native operators make them."""

from collections.abc import Callable

import numpy as np

from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import Tensor, mx

_WIDE = 1024
"""MXNet lays weights of dense layers out anew if neither side is shorter, at inference of large batches."""


def native_update(weight: Tensor, grad: Tensor) -> bool:
    """Whether the native operators update this weight: float32 on the CPU, in MXNet's plain layout.

    After inference MXNet keeps weights of convolutions and of very wide dense layers in a layout of oneDNN, which
    operators of a library cannot write (they raise an error). Tables with row-sparse gradients always keep theirs.
    """
    if not native_operators() or weight.context.device_type != "cpu" or weight.dtype != np.float32:
        return False
    shape = weight.shape
    return grad.stype == "row_sparse" or len(shape) == 1 or (len(shape) == 2 and min(shape) < _WIDE)


def update_rows(grad: Tensor, arrays: tuple[Tensor, ...], step: Callable[..., None]) -> None:
    """Run `step(gradient, *arrays)`, which changes the arrays in place, on the rows that the gradient holds.

    A dense gradient holds all rows.

    Args:
        grad: Gradient (R, ...).
        arrays: Arrays whose first dimension is R too.
        step: Called with the rows alone.
    """
    if grad.stype == "default":
        step(grad, *arrays)
        return
    rows = grad.indices
    if rows.size == 0:
        return
    parts = [mx.nd.take(array, rows) for array in arrays]
    step(grad.data, *parts)
    for array, part in zip(arrays, parts, strict=True):
        where = rows.reshape((1, -1))
        mx.nd._internal._scatter_set_nd(lhs=array, rhs=part, indices=where, shape=array.shape, out=array)
