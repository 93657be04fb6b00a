"""Activation functions by name."""

from typing import Any

from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock, Tensor, mx

ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "selu", "prelu", "dice")
"""Names that `activation` takes."""

NORMALIZATION_EPSILON = 1e-5
"""Added to the variance in every normalization, so that a constant row gives zeros and not NaN."""


class SELU(HybridBlock):
    """scale x for x > 0, else scale slope (e^x - 1), with Klambauer et al.'s (2017) constants.

    MXNet's own `selu` has a wrong gradient, its `elu` a right one.
    """

    _scale, _slope = 1.0507009873554805, 1.6732632423543772

    def hybrid_forward(self, F: Any, x: Tensor) -> Tensor:
        """x -> the same shape."""
        return self._scale * F.LeakyReLU(x, act_type="elu", slope=self._slope)


class PReLU(HybridBlock):
    """x for x > 0, else slope x; one slope a unit, learned, 0.25 at first. Source: He et al. (2015)."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.slope = self.params.get("slope", shape=(units,), init=mx.init.Constant(0.25))

    def hybrid_forward(self, F: Any, x: Tensor, slope: Tensor) -> Tensor:
        """x (B, units) -> (B, units)."""
        return F.relu(x) - F.broadcast_mul(F.relu(-x), slope)


class Dice(HybridBlock):
    """p x + (1 - p) slope x with p = sigmoid(BN(x)), BN without scale and shift; one slope a unit, learned, 0 at first.

    The statistics of BN are the batch's in training and frozen running means at inference.
    Source: Zhou et al. (2018), Deep Interest Network, "Data Adaptive Activation Function".
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.normalize = mx.gluon.nn.BatchNorm(
                in_channels=units, epsilon=NORMALIZATION_EPSILON, center=False, scale=False
            )
            self.slope = self.params.get("slope", shape=(units,), init="zeros")

    def hybrid_forward(self, F: Any, x: Tensor, slope: Tensor) -> Tensor:
        """x (B, units) -> (B, units)."""
        p = F.sigmoid(self.normalize(x))
        return p * x + F.broadcast_mul((1 - p) * x, slope)


def activation(name: str, units: int) -> Any:
    """The block of this name for `units` units.

    Raises:
        ConfigError: no activation has this name.
    """
    check_activation(name)
    match name:
        case "elu":
            return mx.gluon.nn.ELU()
        case "selu":
            return SELU()
        case "prelu":
            return PReLU(units)
        case "dice":
            return Dice(units)
    return mx.gluon.nn.Activation(name)


def check_activation(name: str) -> None:
    """Raise ConfigError unless there is an activation of this name."""
    if name not in ACTIVATIONS:
        raise ConfigError(f"activation must be one of {', '.join(ACTIVATIONS)}, not {name!r}")
