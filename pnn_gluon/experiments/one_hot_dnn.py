"""The plain dense network on one-hot input that [PNN] 5.4 trains on poly-2 data."""

import math
from typing import Any

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.linear_scores import LinearScores
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock, Tensor, mx


class OneHotDNN(HybridBlock):
    """logit = MLP(relu(W^T x + b)), x in {0, 1}^V the one-hot encoding of a row.

    W^T x is the sum of the rows of W (V, H) at the ids of the row, so x itself is never made; a multi-valued field
    counts as the mean of its rows, padding as nothing. All dense weights start as Xavier's, those of W uniform in
    ±sqrt(6 / (V + H)); biases start at 0. No normalization, no embedding layer: the first hidden layer sees the
    categories themselves. Ids int32 (B, S) -> logits (B,). Source: [PNN] 5.4.

    Args:
        layout: The fields of a row.
        size: Number of ids V.
        hidden: Widths of the hidden layers; the first is H.

    Raises:
        ConfigError: no hidden layer, or a width below 1.
    """

    def __init__(self, layout: FieldLayout, size: int, hidden: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not hidden or min(hidden) < 1:
            raise ConfigError(f"hidden needs one width of 1 or more for each hidden layer, at least one, not {hidden}")
        with self.name_scope():
            self.first = LinearScores(layout, size, hidden[0])
            for part in self.first.parts:
                part.init = mx.init.Uniform(math.sqrt(6 / (size + hidden[0])))
            self.mlp = MLP(hidden[0], MLPOptions(hidden[1:], normalization="none"))

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        h = F.relu(self.first(ids))  # (B, H)
        return F.reshape(self.mlp(h), shape=(-1,))  # (B,)
