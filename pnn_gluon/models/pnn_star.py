"""Product-based neural network with inner and outer products."""

from typing import Any

from pnn_gluon.blocks.dense import side_by_side
from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding
from pnn_gluon.blocks.inner_product import InnerProduct
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.blocks.normalization import normalized_products
from pnn_gluon.blocks.outer_product import OuterProduct
from pnn_gluon.runtime import HybridBlock, Tensor


class PNNStar(HybridBlock):
    """logit = MLP([v_1, ..., v_N, <v_1, v_2>, ..., <v_{N-1}, v_N>, f f^T]), f = sum_i v_i.

    `normalization` applies to the inner products and to the outer product, each by itself as f f^T has up to N times
    larger numbers, and to the hidden layers. Ids int32 (B, S) -> logits (B,).
    Source: Qu et al. (2016), Product-based Neural Networks; Guo et al. (2017), 2.2, which names it PNN*.
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
            k = embedding.embedding_size
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.inner = normalized_products(InnerProduct(layout), mlp.normalization, layout.pairs)
            self.outer = normalized_products(OuterProduct(layout, k), mlp.normalization, k * k)
            self.mlp = MLP(layout.fields * k + layout.pairs + k * k, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = self.embedding(ids)  # (B, N, K)
        z = side_by_side(F, F.reshape(v, shape=(0, -1)), self.inner(v), self.outer(v))  # (B, N K + P + K K)
        return F.reshape(self.mlp(*z), shape=(-1,))  # (B,)
