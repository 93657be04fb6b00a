"""Kernel product-based neural network."""

from typing import Any

from pnn_gluon.blocks.dense import side_by_side
from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding
from pnn_gluon.blocks.field_sizes import field_sizes
from pnn_gluon.blocks.kernel_product import KernelProduct
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.blocks.normalization import normalized_products
from pnn_gluon.option_types import Kernel, Widths
from pnn_gluon.runtime import HybridBlock, Tensor


class KPNN(HybridBlock):
    """logit = MLP([v_1, ..., v_N, p_12, ..., p_{N-1,N}]), p_ij = v_i^T phi_ij v_j; also known as OPNN.

    `kernel` is the type of phi, see `KernelProduct`; `embedding_sizes` gives field i vectors of k_i numbers, see
    `AdaptiveSizes`. `normalization` applies to the products p as to the hidden layers ([PNN] 4.4.3).
    Ids int32 (B, S) -> logits (B,). Source: [PNN] (24-25).
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        mlp: MLPOptions = MLPOptions(),
        kernel: Kernel = "matrix",
        embedding_sizes: Widths = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            k = embedding.embedding_size
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.sizes = field_sizes(layout, embedding_sizes, k)
            self.product = normalized_products(KernelProduct(layout, k, kernel), mlp.normalization, layout.pairs)
            self.mlp = MLP(layout.fields * k + layout.pairs, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = self.sizes(self.embedding(ids))  # (B, N, K)
        p = self.product(v)  # (B, P)
        z = side_by_side(F, F.reshape(v, shape=(0, -1)), p)  # (B, N K + P)
        return F.reshape(self.mlp(*z), shape=(-1,))  # (B,)
