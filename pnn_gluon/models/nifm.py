"""Network in factorization machine."""

from typing import Any

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm
from pnn_gluon.blocks.field_sizes import field_sizes
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.pair_network import PairNetwork
from pnn_gluon.option_types import Count, Widths
from pnn_gluon.runtime import HybridBlock, Tensor


class NIFM(HybridBlock):
    """logit = sum_i w_i + b + sum_{i<j} relu([v_i, v_j] W1_ij + b1_ij) w2_ij.

    Ids int32 (B, S) -> logits (B,). `subnet_hidden` is the width of W1_ij. With `embedding_sizes` k_1 ... k_N only the
    first k_i numbers of the vector of field i count ([PNN] Table 7). There is no b2: b has its effect.
    Source: [PNN] (12-13).

    Raises:
        ConfigError: fewer than two fields, a width below 1, or `embedding_sizes` that do not fit the fields.
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        subnet_hidden: Count = 40,
        embedding_sizes: Widths = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        k = embedding.embedding_size
        with self.name_scope():
            self.linear = LinearTerm(layout, size)
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.sizes = field_sizes(layout, embedding_sizes, k)
            self.product = PairNetwork(
                layout, k, subnet_hidden, 1, products=False, normalization="none", output_bias=False
            )

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = self.sizes(self.embedding(ids))  # (B, N, K)
        return self.linear(ids) + F.sum(self.product(v), axis=1)  # (B,)
