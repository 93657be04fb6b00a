"""Kernel factorization machine."""

from typing import Any

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm
from pnn_gluon.blocks.field_sizes import field_sizes
from pnn_gluon.blocks.kernel_product import KernelProduct
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.option_types import Kernel, Widths
from pnn_gluon.runtime import HybridBlock, Tensor


class KFM(HybridBlock):
    """logit = sum_i w_i + b + sum_{i<j} v_i^T phi_ij v_j.

    `kernel` is the type of phi, see `KernelProduct`; `embedding_sizes` gives field i vectors of k_i numbers, see
    `AdaptiveSizes`. Ids int32 (B, S) -> logits (B,). Source: [PNN] (10-11) and Table 7.
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        kernel: Kernel = "matrix",
        embedding_sizes: Widths = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.linear = LinearTerm(layout, size)
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.sizes = field_sizes(layout, embedding_sizes, embedding.embedding_size)
            self.product = KernelProduct(layout, embedding.embedding_size, kernel)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = self.sizes(self.embedding(ids))  # (B, N, K)
        p = self.product(v)  # (B, P)
        return self.linear(ids) + F.sum(p, axis=1)  # (B,)
