"""The dense network at the top of the deep models."""

from dataclasses import dataclass
from typing import Any

from pnn_gluon.blocks.activation import activation, check_activation
from pnn_gluon.blocks.dense import Dense
from pnn_gluon.blocks.normalization import LayerNorm, check_normalization, normalization
from pnn_gluon.blocks.normalized_dense import normalized_layers
from pnn_gluon.errors import ConfigError
from pnn_gluon.option_types import HiddenActivation, Normalization, Rate, Widths
from pnn_gluon.runtime import HybridBlock, Tensor, mx


@dataclass(frozen=True)
class MLPOptions:
    """The hidden layers of a dense network.

    Attributes:
        hidden: Widths of the hidden layers; may be empty.
        activation: One of `pnn_gluon.blocks.activation.ACTIVATIONS`.
        dropout: Share of hidden units dropped in training.
        normalization: `layer`, `batch` or `none`: what each hidden layer goes through before the activation.

    Raises:
        ConfigError: a width below 1, an unknown name, or dropout outside [0, 1).
    """

    hidden: Widths = (400, 400, 400)
    activation: HiddenActivation = "relu"
    dropout: Rate = 0.0
    normalization: Normalization = "layer"

    def __post_init__(self) -> None:
        if any(width < 1 for width in self.hidden):
            raise ConfigError(f"widths of hidden layers must be 1 or more, not {self.hidden}")
        check_activation(self.activation)
        check_normalization(self.normalization)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1), not {self.dropout}")


class MLP(HybridBlock):
    """Dense hidden layers and a dense output: (B, inputs) -> (B, outputs).

    x_{l+1} = dropout(activation(normalization(x_l W_l + b_l))) for each hidden layer, then x W + b. x_0 may come in
    parts, tensors side by side whose widths add up to `inputs`: native operators need no copy of all of them.
    Weights start uniform in ±sqrt(6 / (inputs + outputs)) of their layer (Xavier), biases at 0.
    """

    def __init__(self, inputs: int, options: MLPOptions, outputs: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.layers = mx.gluon.nn.HybridSequential()
            self.layers.add(*_layers(inputs, options, outputs))

    def hybrid_forward(self, F: Any, *x: Tensor) -> Tensor:
        """Parts of x (B, inputs) -> (B, outputs)."""
        given: tuple[Tensor, ...] = x
        for layer in self.layers:
            y = layer(*given)
            given = y if isinstance(y, tuple) else (y,)
        return given[0]


def _layers(inputs: int, options: MLPOptions, outputs: int) -> list[Any]:
    if (options.activation, options.normalization, options.dropout) == ("relu", "layer", 0):
        return normalized_layers(inputs, options.hidden, outputs)
    layers: list[Any] = []
    for width in options.hidden:
        layers += _hidden_layer(width, inputs, options)
        if options.dropout:
            layers.append(mx.gluon.nn.Dropout(options.dropout))
        inputs = width
    return [*layers, Dense(outputs, inputs)]


def _hidden_layer(units: int, inputs: int, options: MLPOptions) -> list[Any]:
    """The layers from the inputs to the activation; ReLU is part of what is before it."""
    if options.activation == "relu" and options.normalization == "none":
        return [Dense(units, inputs, "relu")]
    if options.activation == "relu" and options.normalization == "layer":
        return [Dense(units, inputs), LayerNorm(units, "relu")]
    normalized = normalization(options.normalization, units)
    return [Dense(units, inputs), *([] if normalized is None else [normalized]), activation(options.activation, units)]
