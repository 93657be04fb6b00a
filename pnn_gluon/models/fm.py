"""Factorization machine."""

from typing import Any

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm
from pnn_gluon.blocks.fm_interaction import FMInteraction
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.runtime import HybridBlock, Tensor


class FM(HybridBlock):
    """logit = sum_i w_i + b + sum_{i<j} <v_i, v_j>. Ids int32 (B, S) -> logits (B,). Source: [PNN] (2)."""

    def __init__(
        self, layout: FieldLayout, size: int, *, embedding: EmbeddingOptions = EmbeddingOptions(), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.linear = LinearTerm(layout, size)
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.interaction = FMInteraction(layout, embedding.embedding_size)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        return self.linear(ids) + self.interaction(self.embedding(ids))
