"""Dense layers."""

from typing import Any

from pnn_gluon.ops import chosen_precision, native_operators
from pnn_gluon.runtime import HybridBlock, Tensor, mx


class Dense(HybridBlock):
    """y = activation(x W^T + b): (..., inputs) -> (..., units), in one operator.

    x may come in parts, tensors side by side (B, inputs_i), see `side_by_side`.

    Parameters: `weight` (units, inputs), uniform at first in ±sqrt(6 / (inputs + units)) (Xavier), and `bias` (units,),
    0 at first. With native operators the products are of the precision `chosen_precision()`; layers of up to four
    units are always float32.

    Args:
        units: Width of the output.
        inputs: Width of the input.
        activation: `identity` or `relu`.
        bias: Whether there is a b.
    """

    def __init__(self, units: int, inputs: int, activation: str = "identity", bias: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._units, self._activation = units, activation
        xavier = mx.init.Xavier(rnd_type="uniform", factor_type="avg", magnitude=3)
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(units, inputs), init=xavier)
            if bias:
                self.bias = self.params.get("bias", shape=(units,), init="zeros")

    def hybrid_forward(self, F: Any, *x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Parts of x (..., inputs) -> (..., units)."""
        return dense_product(F, x, weight, self._units, bias, self._activation)


def dense_product(
    F: Any,
    x: Tensor | tuple[Tensor, ...],
    weight: Tensor,
    units: int,
    bias: Tensor | None = None,
    activation: str = "identity",
) -> Tensor:
    """activation(x W^T + b): x (..., inputs) or its parts, W (units, inputs), b (units,) or None -> (..., units)."""
    x = x if isinstance(x, tuple) else (x,)
    others = (weight,) if bias is None else (weight, bias)
    if native_operators():
        how = {"units": units, "parts": len(x), "activation": activation, "precision": chosen_precision()}
        return F.pnn_dense(*x, *others, no_bias=int(bias is None), **how)
    y = F.FullyConnected(*side_by_side(F, *x), *others, num_hidden=units, flatten=False, no_bias=bias is None)
    return F.relu(y) if activation == "relu" else y


def side_by_side(F: Any, *parts: Tensor) -> tuple[Tensor, ...]:
    """Parts (B, inputs_i) of what a dense layer reads: native operators join their rows, others read one tensor."""
    return parts if native_operators() or len(parts) == 1 else (F.concat(*parts, dim=1),)
