"""Residual units on a vector, for the residual network over embeddings."""

from dataclasses import dataclass
from typing import Any

from pnn_gluon.blocks.activation import activation, check_activation
from pnn_gluon.blocks.dense import Dense
from pnn_gluon.blocks.normalization import check_normalization, normalization
from pnn_gluon.errors import ConfigError
from pnn_gluon.option_types import HiddenActivation, Normalization, Rate, Widths
from pnn_gluon.runtime import HybridBlock, Tensor, mx


@dataclass(frozen=True)
class ResidualOptions:
    """A stack of residual units.

    Attributes:
        residual_units: Inner width H of each unit. The default is that of Shan et al. (2016).
        activation: One of `pnn_gluon.blocks.activation.ACTIVATIONS`, for both layers of a unit.
        dropout: Share of inner units dropped in training.
        normalization: `layer`, `batch` or `none`: what each of the two layers of a unit goes through.

    Raises:
        ConfigError: no unit, a width below 1, an unknown name, or dropout outside [0, 1).
    """

    residual_units: Widths = (512, 512, 256, 128, 64)
    activation: HiddenActivation = "relu"
    dropout: Rate = 0.0
    normalization: Normalization = "layer"

    def __post_init__(self) -> None:
        if not self.residual_units or any(width < 1 for width in self.residual_units):
            raise ConfigError(f"residual_units must be one or more widths of 1 or more, not {self.residual_units}")
        check_activation(self.activation)
        check_normalization(self.normalization)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1), not {self.dropout}")


class ResidualUnit(HybridBlock):
    """activation(x + g(W_2 h + b_2)) with h = dropout(activation(g(W_1 x + b_1))): (B, width) -> (B, width).

    g is the normalization; the paper has none and no dropout. W_1 is (H, width), W_2 (width, H).
    Source: Shan et al. (2016), Deep Crossing; normalization before the addition as in He et al. (2016).
    """

    def __init__(self, width: int, inner: int, options: ResidualOptions, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.layers = mx.gluon.nn.HybridSequential()
            self.layers.add(*_normalized_dense(inner, width, options.normalization))
            self.layers.add(activation(options.activation, inner))
            self.layers.add(mx.gluon.nn.Dropout(options.dropout))
            self.layers.add(*_normalized_dense(width, inner, options.normalization))
            self.activation = activation(options.activation, width)

    def hybrid_forward(self, F: Any, x: Tensor) -> Tensor:
        """x (B, width) -> (B, width)."""
        return self.activation(x + self.layers(x))


def _normalized_dense(units: int, inputs: int, name: str) -> list[Any]:
    block = normalization(name, units)
    return [Dense(units, inputs)] + ([] if block is None else [block])
