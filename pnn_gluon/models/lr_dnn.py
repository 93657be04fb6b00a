"""Logistic regression beside a dense network."""

from typing import Any

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.runtime import HybridBlock, Tensor


class LRDNN(HybridBlock):
    """logit = sum_i w_i + b + MLP([v_1, ..., v_N]): Wide & Deep with nothing but the fields in its wide part.

    Ids int32 (B, S) -> logits (B,). Source: Guo et al. (2017), DeepFM, 3.1, "LR & DNN".
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
            self.mlp = MLP(layout.fields * embedding.embedding_size, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        deep = self.mlp(F.reshape(self.embedding(ids), shape=(0, -1)))  # (B, 1)
        return self.linear(ids) + F.reshape(deep, shape=(-1,))  # (B,)
