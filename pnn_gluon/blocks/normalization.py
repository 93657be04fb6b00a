"""Normalization of hidden units by name. (NORMALIZATION_EPSILON keeps constant rows finite.)"""

from typing import Any

from pnn_gluon.blocks.activation import NORMALIZATION_EPSILON
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import HybridBlock, Tensor, mx

NORMALIZATIONS = ("layer", "batch", "none")
"""Names that `normalization` takes."""


class LayerNorm(HybridBlock):
    """y = activation((x - mean) / sqrt(var + epsilon) * gamma + beta) over the last axis, in one operator.

    Parameters: `gamma`, 1 at first, and `beta`, 0 at first, (units,). Source: Ba et al. (2016); [PNN] (47).

    Args:
        units: Numbers of the last axis.
        activation: `identity` or `relu`.
    """

    def __init__(self, units: int, activation: str = "identity", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._activation = activation
        with self.name_scope():
            self.gamma = self.params.get("gamma", shape=(units,), init="ones")
            self.beta = self.params.get("beta", shape=(units,), init="zeros")

    def hybrid_forward(self, F: Any, x: Tensor, *, gamma: Tensor, beta: Tensor) -> Tensor:
        """x (..., units) -> the same shape."""
        if native_operators():
            return F.pnn_layer_norm(x, gamma, beta, epsilon=NORMALIZATION_EPSILON, activation=self._activation)
        y = F.LayerNorm(x, gamma, beta, eps=NORMALIZATION_EPSILON)
        return F.relu(y) if self._activation == "relu" else y


def normalization(name: str, units: int) -> Any:
    """A block (B, units) -> (B, units), or None for `none`.

    - layer: (x - mean) / sqrt(var + epsilon) * gamma + beta over the units of a row ([PNN] (47)).
    - batch: the same over the rows of the batch in training; with frozen running means at inference ([PNN] (46)).

    Raises:
        ConfigError: no normalization has this name.
    """
    check_normalization(name)
    if name == "layer":
        return LayerNorm(units)
    if name == "batch":
        return mx.gluon.nn.BatchNorm(in_channels=units, epsilon=NORMALIZATION_EPSILON)
    return None


def normalized_products(product: HybridBlock, name: str, units: int) -> Any:
    """The product layer, then its normalization; one number alone is left as it is (it would become 0)."""
    layers = mx.gluon.nn.HybridSequential()
    layers.add(product)
    block = normalization(name, units)
    if block is not None and (units > 1 or name == "batch"):
        layers.add(block)
    return layers


def check_normalization(name: str) -> None:
    """Raise ConfigError unless there is a normalization of this name."""
    if name not in NORMALIZATIONS:
        raise ConfigError(f"normalization must be one of {', '.join(NORMALIZATIONS)}, not {name!r}")
