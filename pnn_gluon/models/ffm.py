"""Field-aware factorization machine."""

from typing import Any

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm
from pnn_gluon.blocks.field_aware_product import FieldAwareProduct
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.runtime import HybridBlock, Tensor


class FFM(HybridBlock):
    """logit = sum_i w_i + b + sum_{i<j} <v_ij, v_ji>: an id has a vector of K numbers for each other field.

    See `FieldAwareProduct` for the order of the N-1 vectors. Ids int32 (B, S) -> logits (B,). Source: [PNN] (4).
    """

    def __init__(
        self, layout: FieldLayout, size: int, *, embedding: EmbeddingOptions = EmbeddingOptions(), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.linear = LinearTerm(layout, size)
            self.product = FieldAwareProduct(layout, embedding.embedding_size)
            self.embedding = FieldEmbedding(layout, size, embedding, vectors=layout.fields - 1)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        return self.linear(ids) + self.product(self.embedding(ids))
