"""A factorization machine beside a dense network, each with its own embeddings."""

from typing import Any

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm
from pnn_gluon.blocks.fm_interaction import FMInteraction
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.runtime import HybridBlock, Tensor


class FMDNN(HybridBlock):
    """logit = sum_i w_i + b + sum_{i<j} <v_i, v_j> + MLP([u_1, ..., u_N]): DeepFM with nothing shared.

    v is `embedding`, u is `deep_embedding`, both of size K.
    Ids int32 (B, S) -> logits (B,). Source: Guo et al. (2017), DeepFM, 3.1, "FM & DNN".
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
            self.linear = LinearTerm(layout, size)
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.interaction = FMInteraction(layout, embedding.embedding_size)
            self.deep_embedding = FieldEmbedding(layout, size, embedding)
            self.mlp = MLP(layout.fields * embedding.embedding_size, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        fm = self.linear(ids) + self.interaction(self.embedding(ids))  # (B,)
        deep = self.mlp(F.reshape(self.deep_embedding(ids), shape=(0, -1)))  # (B, 1)
        return fm + F.reshape(deep, shape=(-1,))  # (B,)
