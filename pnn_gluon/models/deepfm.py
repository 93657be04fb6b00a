"""DeepFM: a factorization machine beside a dense network on the same embeddings."""

from typing import Any

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm
from pnn_gluon.blocks.fm_interaction import FMInteraction
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.runtime import HybridBlock, Tensor


class DeepFM(HybridBlock):
    """logit = sum_i w_i + b + sum_{i<j} <v_i, v_j> + MLP([v_1, ..., v_N]), v shared.

    Ids int32 (B, S) -> logits (B,). Source: [PNN] (18); Guo et al. (2017), equations 1-4.
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
            self.mlp = MLP(layout.fields * embedding.embedding_size, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = self.embedding(ids)  # (B, N, K)
        fm = self.linear(ids) + self.interaction(v)  # (B,)
        deep = self.mlp(F.reshape(v, shape=(0, -1)))  # (B, 1)
        return fm + F.reshape(deep, shape=(-1,))  # (B,)
