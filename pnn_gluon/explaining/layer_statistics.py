"""Norms of the parameters and of the gradients, layer by layer: what has grown, and what still learns.

The gradient is that of a training step of one batch: of the mean log loss of the model's own logits, without dropout,
negatives weighing as many as training kept of them, and rows with weights by these. [PNN] Fig. 15 follows the mean
absolute gradient of a layer.
"""

from collections import defaultdict
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from pnn_gluon.arrays import Floats
from pnn_gluon.blocks.id_table import place_of_part, whole_name
from pnn_gluon.explaining.rows import Rows
from pnn_gluon.runtime import HybridBlock, mx
from pnn_gluon.training.loss import make_loss
from pnn_gluon.training.parameters import named_parameters

AT_ONCE = 2**20
"""Numbers whose squares are held together."""
GRADIENT_ROWS = 2000
"""The most rows of the batch: the batch size of [PNN] Table 5."""


@dataclass(frozen=True)
class LayerStatistics:
    """A layer: the trained parameters of one block.

    Attributes:
        layer: Where it is in the model, such as `mlp.layers.0`.
        parameters: How many numbers it has.
        parameter_norm: Their 2-norm.
        gradient_norm: The 2-norm of the gradient; None without rows.
        mean_gradient: The mean absolute gradient, of an embedding over the ids of the batch; None without rows.
    """

    layer: str
    parameters: int
    parameter_norm: float
    gradient_norm: float | None
    mean_gradient: float | None


def layer_statistics(net: HybridBlock, rows: Rows, rate: float) -> list[LayerStatistics]:
    """Statistics of every layer with trained parameters, in the order of the model.

    Args:
        net: See `pnn_gluon.explaining.network`.
        rows: Labelled rows, of which the first `GRADIENT_ROWS` are the batch; there may be none.
        rate: The share of negatives that training kept.
    """
    layers: dict[str, list[Any]] = defaultdict(list)
    for name, parameter in named_parameters(net).items():
        if parameter.grad_req != "null":
            layers[_layer_of(name)].append(parameter)
    if len(rows.ids):
        _backward(net, rows, rate)
    return [_statistics(name, parameters, bool(len(rows.ids))) for name, parameters in layers.items()]


def _layer_of(name: str) -> str:
    """The layer of a parameter, by its structural name or by its name in an exported graph."""
    return whole_name(name).rpartition("." if "." in name else "_")[0]


def _backward(net: HybridBlock, rows: Rows, rate: float) -> None:
    """Leave the gradient in the parameters."""
    ids, label, weight = (values[:GRADIENT_ROWS] for values in (rows.ids, rows.label, rows.weights))
    weight = np.where(label == 1, 1.0, rate) * weight
    share = mx.nd.array(weight / weight.sum())  # (B,)
    loss = make_loss("log")
    with mx.autograd.record(train_mode=False):
        total = (loss(net(mx.nd.array(ids, dtype="int32")), mx.nd.array(label)) * share).sum()
    total.backward()


def _statistics(layer: str, parameters: list[Any], has_gradient: bool) -> LayerStatistics:
    values = [parameter.list_data()[0].asnumpy() for parameter in parameters]
    numbers, norm = sum(value.size for value in values), _norm(values)
    if not has_gradient:
        return LayerStatistics(layer, numbers, norm, None, None)
    gradients = [_held(parameter) for parameter in parameters]
    held = sum(gradient.size for gradient in gradients)
    total = sum(float(np.abs(gradient).sum(dtype=np.float64)) for gradient in gradients)
    return LayerStatistics(layer, numbers, norm, _norm(gradients), total / held if held else 0.0)


def _held(parameter: Any) -> Floats:
    """The numbers of a gradient; of a row-sparse one those of the ids that it holds, padding left out."""
    gradient, (part, _) = parameter.list_grad()[0], place_of_part(parameter.name)
    if gradient.stype == "default":
        whole: Floats = gradient.asnumpy()
        return whole
    rows: Floats = gradient.data.asnumpy()[gradient.indices.asnumpy() > (0 if part == 0 else -1)]
    return rows


def _norm(arrays: list[Floats]) -> float:
    """The 2-norm of all of them, in float64 a part at a time: tables may be large."""
    parts = (array.ravel()[start : start + AT_ONCE] for array in arrays for start in range(0, array.size, AT_ONCE))
    return sqrt(sum(float(np.square(part, dtype=np.float64).sum()) for part in parts))
