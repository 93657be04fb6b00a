"""What training minimizes: the loss of each row of a batch."""

from typing import Any

from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import HybridBlock, Tensor
from pnn_gluon.training.options import LossName


class LogLoss(HybridBlock):
    """loss = log(1 + e^(-t z)) with t = 2 y - 1: the log loss of the probability sigmoid(z) for labels y of 0 and 1.

    Its gradient is -t sigmoid(-t z), also at z = 0, where that of `mx.gluon.loss.SigmoidBCELoss` is -y and a network
    whose outputs start at 0 learns nothing from negatives in its first step.
    """

    def hybrid_forward(self, F: Any, output: Tensor, label: Tensor) -> Tensor:
        """Logits (B,), labels 0 or 1 (B,) -> (B,)."""
        if native_operators():
            return F.pnn_log_loss(output, label)
        return F.Activation((1 - 2 * label) * output, act_type="softrelu")


class SquaredLoss(HybridBlock):
    """loss = (z - (2 y - 1))^2, the squared error of the output z for labels y of 0 and 1 taken as -1 and 1.

    A network trained so gives no logits, and no probability follows from its outputs. Source: [NFM] (9), whose RMSE
    is the root of the mean of this loss over outputs clipped to [-1, 1].
    """

    def hybrid_forward(self, F: Any, output: Tensor, label: Tensor) -> Tensor:
        """Outputs (B,), labels 0 or 1 (B,) -> (B,)."""
        return F.square(output - (2 * label - 1))


def make_loss(name: LossName) -> HybridBlock:
    """The loss block, hybridized: outputs (B,), labels 0 or 1 (B,) -> losses of the rows (B,)."""
    loss = SquaredLoss() if name == "squared" else LogLoss()
    loss.hybridize(static_alloc=True)
    return loss
