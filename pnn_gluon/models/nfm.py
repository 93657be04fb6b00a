"""Neural factorization machine: a dense network on the pooled products of all pairs."""

from typing import Any

from pnn_gluon.blocks.bi_interaction import BiInteraction
from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.blocks.normalization import normalized_products
from pnn_gluon.errors import ConfigError
from pnn_gluon.option_types import Rate
from pnn_gluon.runtime import HybridBlock, Tensor, mx


class NFM(HybridBlock):
    """logit = sum_i w_i + b + MLP(dropout(g(sum_{i<j} v_i * v_j))), * element by element, g the normalization.

    `normalization` applies to the pooled vector as to the hidden layers; the paper's is `batch`. With hidden = ()
    and normalization `none` this is NFM-0, which equals a factorization machine where the output weights are 1.
    Ids int32 (B, S) -> logits (B,). Source: He & Chua (2017), Neural Factorization Machines, equations 3-8 and 3.3.

    Args:
        layout: The fields of a row.
        size: Number of ids V.
        embedding: K and starting values.
        mlp: The hidden layers.
        pooling_dropout: Share of the pooled vector dropped in training.

    Raises:
        ConfigError: fewer than two fields, or pooling_dropout outside [0, 1).
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        mlp: MLPOptions = MLPOptions(normalization="batch"),
        pooling_dropout: Rate = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= pooling_dropout < 1:
            raise ConfigError(f"pooling_dropout must be in [0, 1), not {pooling_dropout}")
        k = embedding.embedding_size
        with self.name_scope():
            self.linear = LinearTerm(layout, size)
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.pooling = normalized_products(BiInteraction(layout, k), mlp.normalization, k)
            self.dropout = mx.gluon.nn.Dropout(pooling_dropout)
            self.mlp = MLP(k, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        pooled = self.dropout(self.pooling(self.embedding(ids)))  # (B, K)
        return self.linear(ids) + F.reshape(self.mlp(pooled), shape=(-1,))  # (B,)
