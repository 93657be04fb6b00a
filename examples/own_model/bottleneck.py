"""A model of one's own: a linear term and one narrow layer over the fields' vectors."""

from typing import Annotated, Any

from mxnet.gluon import nn
from pydantic import Field

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.runtime import HybridBlock, Tensor


class Bottleneck(HybridBlock):
    """logit = sum_i w_i + b + u^T tanh(W [v_1, ..., v_N] + c). Ids int32 (B, S) -> logits (B,)."""

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        width: Annotated[int, Field(ge=1)] = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.linear = LinearTerm(layout, size)
            self.embedding = FieldEmbedding(layout, size, embedding)
            vectors = layout.fields * embedding.embedding_size
            self.narrow = nn.Dense(width, in_units=vectors, activation="tanh")
            self.out = nn.Dense(1, in_units=width, use_bias=False)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        hidden = self.narrow(self.embedding(ids))  # (B, width)
        return self.linear(ids) + self.out(hidden).reshape((-1,))
