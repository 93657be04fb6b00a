"""Updates of the rows that a row-sparse gradient holds, and of no others."""

from collections.abc import Callable

from pnn_gluon.runtime import Tensor, mx


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
    parts = [mx.nd.take(array, rows) for array in arrays]
    step(grad.data, *parts)
    for array, part in zip(arrays, parts, strict=True):
        where = rows.reshape((1, -1))
        mx.nd._internal._scatter_set_nd(lhs=array, rhs=part, indices=where, shape=array.shape, out=array)
