"""Bi-interaction pooling: the products of all pairs of field vectors, added up."""

from typing import Any

from pnn_gluon.blocks.field_sum import FieldSum
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import HybridBlock, Tensor


class BiInteraction(HybridBlock):
    """sum_{i<j} v_i * v_j, element by element: vectors (B, N, K) -> (B, K).

    = 1/2 ((sum_i v_i)^2 - sum_i v_i^2). Source: He & Chua (2017), Neural Factorization Machines, equations 3-4.

    Raises:
        ConfigError: fewer than two fields.
    """

    def __init__(self, layout: FieldLayout, embedding_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if layout.fields < 2:
            raise ConfigError(f"products of pairs need two fields or more, not {layout.names}: take model 'lr'")
        with self.name_scope():
            self.sum = FieldSum(layout, embedding_size)

    def hybrid_forward(self, F: Any, vectors: Tensor) -> Tensor:
        """vectors (B, N, K) -> (B, K)."""
        if native_operators():
            return F.pnn_pair_sums(vectors)
        return 0.5 * (F.square(self.sum(vectors)) - self.sum(F.square(vectors)))  # (B, K)
