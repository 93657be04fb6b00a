"""The dense network at the top of the deep models."""

from typing import Any

from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock, Tensor, mx

ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "selu")
"""Names that `MLP` takes."""

LAYER_NORM_EPSILON = 1e-5
"""Added to the variance in layer normalization, so that a constant row gives zeros and not NaN."""


class _SELU(HybridBlock):
    """scale x for x > 0, else scale slope (e^x - 1). MXNet's own `selu` has a wrong gradient, its `elu` a right one."""

    _scale, _slope = 1.0507009873554805, 1.6732632423543772

    def hybrid_forward(self, F: Any, x: Tensor) -> Tensor:
        return self._scale * F.LeakyReLU(x, act_type="elu", slope=self._slope)


class MLP(HybridBlock):
    """Dense hidden layers and a dense output: (B, inputs) -> (B, outputs).

    x_{l+1} = dropout(activation(LN(x_l W_l + b_l))) for each width in `hidden`, then x W + b.
    LN(x) = (x - mean(x)) / sqrt(var(x) + epsilon) * gamma + beta over the units of a layer ([PNN] (47)), if asked
    for. Weights start uniform in ±sqrt(6 / (inputs + outputs)) of their layer (Xavier), biases at 0.

    Args:
        inputs: Number of input units.
        hidden: Widths of the hidden layers; may be empty.
        outputs: Number of output units.
        activation: One of `ACTIVATIONS`.
        dropout: Share of hidden units dropped in training.
        layer_norm: Whether to normalize each hidden layer before the activation.

    Raises:
        ConfigError: a width below 1, an unknown activation, or dropout outside [0, 1).
    """

    def __init__(
        self,
        inputs: int,
        hidden: tuple[int, ...],
        outputs: int = 1,
        *,
        activation: str = "relu",
        dropout: float = 0.0,
        layer_norm: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check(hidden, activation, dropout)
        with self.name_scope():
            self.layers = mx.gluon.nn.HybridSequential()
            for width in hidden:
                self.layers.add(_dense(width, inputs))
                if layer_norm:
                    self.layers.add(mx.gluon.nn.LayerNorm(in_channels=width, epsilon=LAYER_NORM_EPSILON))
                self.layers.add(_activation(activation))
                if dropout:
                    self.layers.add(mx.gluon.nn.Dropout(dropout))
                inputs = width
            self.layers.add(_dense(outputs, inputs))

    def hybrid_forward(self, F: Any, x: Tensor) -> Tensor:
        """x (B, inputs) -> (B, outputs)."""
        return self.layers(x)


def _dense(units: int, inputs: int) -> Any:
    xavier = mx.init.Xavier(rnd_type="uniform", factor_type="avg", magnitude=3)
    return mx.gluon.nn.Dense(units, in_units=inputs, flatten=False, weight_initializer=xavier)


def _activation(name: str) -> Any:
    if name == "elu":
        return mx.gluon.nn.ELU()
    if name == "selu":
        return _SELU()
    return mx.gluon.nn.Activation(name)


def _check(hidden: tuple[int, ...], activation: str, dropout: float) -> None:
    if any(width < 1 for width in hidden):
        raise ConfigError(f"widths of hidden layers must be 1 or more, not {hidden}")
    if activation not in ACTIVATIONS:
        raise ConfigError(f"activation must be one of {', '.join(ACTIVATIONS)}, not {activation!r}")
    if not 0 <= dropout < 1:
        raise ConfigError(f"dropout must be in [0, 1), not {dropout}")
