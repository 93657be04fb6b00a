"""Factorization-machine supported neural network: embeddings and a dense network."""

from typing import Any

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.runtime import HybridBlock, Tensor


class FNN(HybridBlock):
    """logit = MLP([v_1, ..., v_N]). Ids int32 (B, S) -> logits (B,). Source: [PNN] (16)."""

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
            self.mlp = MLP(layout.fields * embedding.embedding_size, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = F.reshape(self.embedding(ids), shape=(0, -1))  # (B, N K)
        return F.reshape(self.mlp(v), shape=(-1,))  # (B,)
