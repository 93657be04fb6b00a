"""Attentional factorization machine."""

from typing import Any

from pnn_gluon.blocks.dense import Dense
from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.pair_attention import PairAttention
from pnn_gluon.errors import ConfigError
from pnn_gluon.option_types import Count, Rate, Scale
from pnn_gluon.runtime import HybridBlock, Tensor, mx


class AFM(HybridBlock):
    """logit = sum_i w_i + b + p^T sum_{i<j} a_ij (v_i * v_j), a = softmax(h^T relu(W (v_i * v_j) + c) / temperature).

    Ids int32 (B, S) -> logits (B,). `attention_size` is the number of rows of W; `pooling_dropout` the share of the K
    numbers of the weighted sum that is dropped in training. Source: [PNN] (3); Xiao et al. (2017), equations 4-6.

    Raises:
        ConfigError: fewer than two fields, an attention without units, a temperature that is not above 0, or dropout
            outside [0, 1).
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        attention_size: Count = 32,
        temperature: Scale = 1.0,
        pooling_dropout: Rate = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        k = embedding.embedding_size
        if not 0 <= pooling_dropout < 1:
            raise ConfigError(f"pooling_dropout must be in [0, 1), not {pooling_dropout}")
        with self.name_scope():
            self.linear = LinearTerm(layout, size)
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.attention = PairAttention(layout, k, attention_size, temperature)
            self.dropout = mx.gluon.nn.Dropout(pooling_dropout)
            self.output = Dense(1, k, bias=False)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        pooled = self.dropout(self.attention(self.embedding(ids)))  # (B, K)
        return self.linear(ids) + F.reshape(self.output(pooled), shape=(-1,))  # (B,)
