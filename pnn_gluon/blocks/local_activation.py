"""How much each value of a history has to do with the candidate."""

from typing import Any

from pnn_gluon.blocks.activation import activation
from pnn_gluon.blocks.dense import Dense
from pnn_gluon.blocks.masked_batch_norm import MaskedBatchNorm
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock, Tensor, mx


class LocalActivation(HybridBlock):
    """Weights of the slots of a history: history (B, W, K), candidate (B, 1, K), present (B, W) -> (B, W).

    a_s = present_s MLP([e_s, c, e_s - c, e_s * c]), e_s the vector of slot s and c the candidate's. The weights are
    not normalized (no softmax), so that their sum tells how strong the interest is. An absent slot weighs 0, and
    nothing else depends on it: the batch statistics of `dice` are those of the slots present.
    Source: Zhou et al. (2018), Deep Interest Network, equation 3 and figure 2.

    Args:
        embedding_size: K.
        width: W, the slots of the history.
        hidden: Widths of the hidden layers.
        name: Of the activation, one of `pnn_gluon.blocks.activation.ACTIVATIONS`.

    Raises:
        ConfigError: no hidden layer, a width below 1, or an unknown activation.
    """

    def __init__(self, embedding_size: int, width: int, hidden: tuple[int, ...], name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not hidden or min(hidden) < 1:
            raise ConfigError(f"attention_hidden needs one or more widths of 1 or more, not {hidden}")
        self._width, self._inputs, self._masked = width, 4 * embedding_size, name == "dice"
        inputs = (self._inputs, *hidden)
        with self.name_scope():
            self.layers = mx.gluon.nn.HybridSequential()
            self.activations = mx.gluon.nn.HybridSequential()
            for before, units in zip(inputs, hidden, strict=False):
                self.layers.add(Dense(units, before))
                self.activations.add(MaskedDice(units) if self._masked else activation(name, units))
            self.output = Dense(1, inputs[-1])

    def hybrid_forward(self, F: Any, history: Tensor, candidate: Tensor, present: Tensor) -> Tensor:
        """history (B, W, K), candidate (B, 1, K), present (B, W) -> (B, W)."""
        c = F.repeat(candidate, repeats=self._width, axis=1)  # (B, W, K)
        x = F.concat(history, c, history - c, history * c, dim=2)  # (B, W, 4 K)
        x = F.reshape(x, shape=(-1, self._inputs))  # (B W, 4 K)
        rows = F.reshape(present, shape=(-1, 1))  # (B W, 1)
        for layer, activate in zip(self.layers, self.activations, strict=True):
            x = layer(x)  # (B W, H)
            x = activate(x, rows) if self._masked else activate(x)  # (B W, H)
        return F.reshape(self.output(x), shape=(-1, self._width)) * present  # (B, W)


class MaskedDice(HybridBlock):
    """`Dice` with the statistics of the rows present: x (R, H), present (R, 1) -> (R, H); see `MaskedBatchNorm`."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.normalize = MaskedBatchNorm(units)
            self.slope = self.params.get("slope", shape=(units,), init="zeros")

    def hybrid_forward(self, F: Any, x: Tensor, present: Tensor, slope: Tensor) -> Tensor:
        """x (R, H), present (R, 1) -> (R, H)."""
        p = F.sigmoid(self.normalize(x, present))  # (R, H)
        slopes = F.dot(F.ones_like(present), F.reshape(slope, shape=(1, -1)))  # (R, H)
        return x * (p + (1 - p) * slopes)  # (R, H)
