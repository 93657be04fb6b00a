"""Dense layers with layer normalization and ReLU between them, which native operators compute in the layer behind."""

from typing import Any

from pnn_gluon.blocks.activation import NORMALIZATION_EPSILON
from pnn_gluon.blocks.dense import Dense, dense_product
from pnn_gluon.blocks.normalization import LayerNorm
from pnn_gluon.ops import chosen_precision, native_operators
from pnn_gluon.runtime import Tensor

Pending = tuple[Tensor, ...]
"""Hidden units as the next dense layer finishes them: x W^T (..., units), b, gamma and beta, (units,) each."""


def normalized_layers(inputs: int, widths: tuple[int, ...], outputs: int) -> list[Any]:
    """The layers of x_{l+1} = relu(norm(x_l W_l^T + b_l)), then x W^T + b; each takes all that the one before it gives.

    With native operators layers leave b and the normalization to the dense layer behind: hidden units are stored as
    products only, and finished where that layer reads them.
    """
    layers: list[Any] = []
    for units in widths:
        layers += [_DenseLayer(units, inputs, first=not layers), _PendingNorm(units, "relu")]
        inputs = units
    return [*layers, _DenseLayer(outputs, inputs, first=not layers, last=True)]


class _DenseLayer(Dense):
    """x W^T + b of parts of x, which only the first layer has, or of pending units; all but the last leave b."""

    def __init__(self, units: int, inputs: int, *, first: bool, last: bool = False, **kwargs: Any) -> None:
        super().__init__(units, inputs, **kwargs)
        self._first, self._last = first, last

    def _alias(self) -> str:
        """What names of parameters in exported graphs are made of."""
        return "dense"

    def hybrid_forward(self, F: Any, *x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | Pending:
        """Parts of x (..., inputs) or pending units -> (..., units), and b if it is left."""
        if not native_operators():
            return super().hybrid_forward(F, *x, weight=weight, bias=bias)
        added = bias if self._last else None
        if self._first:
            y = dense_product(F, x, weight, self._units, added)
        else:
            how = {"units": self._units, "epsilon": NORMALIZATION_EPSILON, "precision": chosen_precision()}
            others = (weight, bias) if self._last else (weight,)
            y = F.pnn_normalized_dense(*x, *others, no_bias=int(not self._last), **how)
        return y if self._last else (y, bias)


class _PendingNorm(LayerNorm):
    """Layer normalization that is left to the layer behind, or done with plain operators."""

    def _alias(self) -> str:
        """As in `_DenseLayer`."""
        return "layernorm"

    def hybrid_forward(self, F: Any, x: Tensor, *shift: Tensor, gamma: Tensor, beta: Tensor) -> Tensor | Pending:
        """x (..., units) and b -> pending units; without b (..., units) -> the same shape, normalized."""
        return (x, *shift, gamma, beta) if shift else super().hybrid_forward(F, x, gamma=gamma, beta=beta)
