"""The outer product of the sum of the field vectors with itself."""

from typing import Any

from pnn_gluon.blocks.field_sum import FieldSum
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.runtime import HybridBlock, Tensor


class OuterProduct(HybridBlock):
    """p = f f^T with f = sum_i v_i, row by row: vectors (B, N, K) -> (B, K K).

    f f^T = sum_i sum_j v_i v_j^T, so all pairs of fields share their place: the superposition that makes outer
    products of all pairs affordable. Source: Qu et al. (2016), Product-based Neural Networks, outer product with
    superposition; Guo et al. (2017), 2.2, which calls it compressing the vectors of all fields to one.

    Args:
        layout: The fields of a row.
        embedding_size: K.
    """

    def __init__(self, layout: FieldLayout, embedding_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.sum = FieldSum(layout, embedding_size)

    def hybrid_forward(self, F: Any, vectors: Tensor) -> Tensor:
        """vectors (B, N, K) -> (B, K K)."""
        f = self.sum(vectors)  # (B, K)
        outer = F.batch_dot(F.expand_dims(f, axis=2), F.expand_dims(f, axis=1))  # (B, K, K)
        return F.reshape(outer, shape=(0, -1))  # (B, K K)
