"""Deep & Cross Network: a cross network beside a dense network."""

from typing import Any

from pnn_gluon.blocks.cross_network import CrossNetwork
from pnn_gluon.blocks.dense import Dense
from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.option_types import Count
from pnn_gluon.runtime import HybridBlock, Tensor


class DCN(HybridBlock):
    """logit = w^T [x_L, h] + b, x_L the cross network's output, h the MLP's last hidden layer.

    Both read x_0 = [v_1, ..., v_N]; x_{l+1} = x_0 (x_l^T w_l) + b_l + x_l, `cross_layers` times.
    Written as w_x^T x_L + (w_h^T h + b), the second being the MLP with its output layer: the same sum.
    Ids int32 (B, S) -> logits (B,). Source: Wang et al. (2017), Deep & Cross Network, equations 3-5.

    Raises:
        ConfigError: cross_layers below 1.
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        mlp: MLPOptions = MLPOptions(),
        cross_layers: Count = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        width = layout.fields * embedding.embedding_size
        with self.name_scope():
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.cross = CrossNetwork(width, cross_layers)
            self.cross_output = Dense(1, width, bias=False)
            self.mlp = MLP(width, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = F.reshape(self.embedding(ids), shape=(0, -1))  # (B, N K)
        return F.reshape(self.cross_output(self.cross(v)) + self.mlp(v), shape=(-1,))  # (B,)
