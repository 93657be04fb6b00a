"""The third-order term of a higher-order factorization machine."""

from typing import Any

from pnn_gluon.blocks.field_sum import FieldSum
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock, Tensor


class ThirdOrder(HybridBlock):
    """sum_{i<j<k} sum_f u_if u_jf u_kf: vectors (B, N, K) -> (B,).

    = 1/6 sum_f (p_1^3 - 3 p_1 p_2 + 2 p_3) with the power sums p_m = sum_i u_if^m (Newton's identities).
    Source: Rendle (2010), Factorization Machines, equation 5 with d = 3; Blondel et al. (2016), Higher-Order
    Factorization Machines.

    Raises:
        ConfigError: fewer than three fields.
    """

    def __init__(self, layout: FieldLayout, embedding_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if layout.fields < 3:
            raise ConfigError(f"products of three need three fields or more, not {layout.names}: take model 'fm'")
        with self.name_scope():
            self.sum = FieldSum(layout, embedding_size)

    def hybrid_forward(self, F: Any, vectors: Tensor) -> Tensor:
        """vectors (B, N, K) -> (B,)."""
        squares = F.square(vectors)  # (B, N, K)
        p1, p2 = self.sum(vectors), self.sum(squares)  # (B, K)
        p3 = self.sum(squares * vectors)  # (B, K)
        return F.sum(p1 * (F.square(p1) - 3 * p2) + 2 * p3, axis=1) / 6  # (B,)
