"""Higher-order factorization machine, of order three."""

from typing import Any

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm
from pnn_gluon.blocks.fm_interaction import FMInteraction
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.third_order import ThirdOrder
from pnn_gluon.runtime import HybridBlock, Tensor


class HOFM(HybridBlock):
    """logit = sum_i w_i + b + sum_{i<j} <v_i, v_j> + sum_{i<j<k} sum_f u_if u_jf u_kf, u embeddings of their own.

    Ids int32 (B, S) -> logits (B,). Source: Rendle (2010), equation 5; Blondel et al. (2016); as compared with by
    He & Chua (2017), 4.1.3.
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.linear = LinearTerm(layout, size)
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.interaction = FMInteraction(layout, embedding.embedding_size)
            self.third_embedding = FieldEmbedding(layout, size, embedding)
            self.third_order = ThirdOrder(layout, embedding.embedding_size)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        fm = self.linear(ids) + self.interaction(self.embedding(ids))  # (B,)
        return fm + self.third_order(self.third_embedding(ids))  # (B,)
