"""Inner products of all pairs of field vectors."""

from typing import Any

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import HybridBlock, Tensor


class InnerProduct(HybridBlock):
    """p_ij = <v_i, v_j> for i < j: vectors (B, N, K) -> (B, P), in the order 12, 13, 23, 14, 24, 34, 15, ...

    Pairs are ordered by their second field, then the first, so one more field adds its pairs at the end.
    The lower triangle of the Gram matrix v v^T: one batched matrix product, several times faster than looking the
    pairs up. Source: [PNN] (22).

    Args:
        layout: The fields of a row.

    Raises:
        ConfigError: fewer than two fields.
    """

    def __init__(self, layout: FieldLayout, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if layout.pairs < 1:
            raise ConfigError(f"inner products need two fields or more, not {layout.names}")

    def hybrid_forward(self, F: Any, vectors: Tensor) -> Tensor:
        """vectors (B, N, K) -> (B, P)."""
        if native_operators():
            return F.pnn_inner_products(vectors)
        gram = F.batch_dot(vectors, vectors, transpose_b=True)  # (B, N, N)
        return F.linalg.extracttrian(gram, offset=-1)  # (B, P)
