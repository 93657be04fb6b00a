"""What a network's outputs on labelled rows are worth, for log loss and for squared loss."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.metrics import Auc, LogLoss

Loss = Literal["log", "squared"]


def probabilities(output: NDArray[np.float32], loss: Loss) -> Floats:
    """Of outputs (rows,), float64 (rows,): sigmoid(x) for log loss, (clip(x, -1, 1) + 1) / 2 for squared loss."""
    if loss == "log":
        return sigmoid(output)
    return (np.clip(output.astype(np.float64), -1, 1) + 1) / 2


Measures = dict[str, float | None]
"""Metrics by name; None where rows of one class leave one undefined."""


def measure(label: NDArray[np.float32], output: NDArray[np.float32], loss: Loss) -> Measures:
    """Metrics of outputs (rows,) against labels 0 or 1 (rows,).

    auc: exact, ties count half; None if all labels are equal. log_loss (log loss only): mean, in nats. rmse (squared
    loss only): root of the mean of (clip(x, -1, 1) - y)^2 with labels y = -1 or 1, as in the paper of NFM (He & Chua
    2017, 4.1.2).
    """
    ranked = Auc().update(label, output).value()
    auc = None if math.isnan(ranked) else ranked
    if loss == "log":
        return {"auc": auc, "log_loss": LogLoss().update_logits(label, output).value()}
    probability = probabilities(output, loss)
    return {"auc": auc, "rmse": 2 * math.sqrt(np.mean((probability - label) ** 2))}
