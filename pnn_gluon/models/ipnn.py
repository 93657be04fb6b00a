"""Inner product-based neural network."""

from typing import Any

from pnn_gluon.blocks.dense import side_by_side
from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding
from pnn_gluon.blocks.inner_product import InnerProduct
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.blocks.normalization import normalized_products
from pnn_gluon.runtime import HybridBlock, Tensor


class IPNN(HybridBlock):
    """logit = MLP([v_1, ..., v_N, p_12, ..., p_{N-1,N}]), p_ij = <v_i, v_j>.

    `normalization` applies to the products p as to the hidden layers ([PNN] 4.4.3).
    Ids int32 (B, S) -> logits (B,). Source: [PNN] (22-23).
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        mlp: MLPOptions = MLPOptions(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.product = normalized_products(InnerProduct(layout), mlp.normalization, layout.pairs)
            self.mlp = MLP(layout.fields * embedding.embedding_size + layout.pairs, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = self.embedding(ids)  # (B, N, K)
        z = side_by_side(F, F.reshape(v, shape=(0, -1)), self.product(v))  # (B, N K + P)
        return F.reshape(self.mlp(*z), shape=(-1,))  # (B,)
