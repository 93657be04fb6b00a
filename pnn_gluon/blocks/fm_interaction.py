"""The second-order term of a factorization machine."""

from typing import Any

from pnn_gluon.blocks.field_sum import FieldSum
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import HybridBlock, Tensor


class FMInteraction(HybridBlock):
    """Sum over pairs of inner products: vectors (B, N, K) -> (B,).

    sum_{i<j} <v_i, v_j> = 1/2 sum_k ((sum_i v_ik)^2 - sum_i v_ik^2). Source: [PNN] (2); Rendle (2010), lemma 3.1.
    """

    def __init__(self, layout: FieldLayout, embedding_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.sum = FieldSum(layout, embedding_size)

    def hybrid_forward(self, F: Any, vectors: Tensor) -> Tensor:
        """vectors (B, N, K) -> (B,)."""
        if native_operators():
            return F.pnn_pair_sums(vectors, total=1)
        total, squares = self.sum(vectors), self.sum(F.square(vectors))  # (B, K)
        return 0.5 * F.sum(F.square(total) - squares, axis=1)  # (B,)
