"""The second-order term of a field-aware factorization machine."""

from typing import Any

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import HybridBlock, Tensor


class FieldAwareProduct(HybridBlock):
    """sum_{i<j} <v_ij, v_ji>: vectors (B, N, (N-1) K) -> (B,), v_ij the vector with which field i meets field j.

    The N-1 vectors of a field come in the order of its partners, the field itself left out: with fields counted from
    1, v_ij is the j-th of field i if j < i, else the (j-1)-th. So those of field 2 of 4 meet fields 1, 3, 4.

    Without a loop over pairs: let L be the vectors of fields 2 ... N as rows, U those of fields 1 ... N-1 as columns.
    Where row a and column b meet, b <= a, L has v_{a+1,b} and U has v_{b,a+1}. So the sum over the lower triangle of
    L * U is the sum over all pairs; it is a dense layer with constant ones there and zeros elsewhere.
    Source: [PNN] (4).

    Args:
        layout: The fields of a row.
        embedding_size: K, the size of each of the vectors.

    Raises:
        ConfigError: fewer than two fields.
    """

    def __init__(self, layout: FieldLayout, embedding_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if layout.pairs < 1:
            raise ConfigError(f"field-aware products need two fields or more, not {layout.names}: take model 'lr'")
        self._fields, self._embedding_size = layout.fields, embedding_size

    def hybrid_forward(self, F: Any, vectors: Tensor) -> Tensor:
        """vectors (B, N, (N-1) K) -> (B,)."""
        if native_operators():
            return F.pnn_field_aware_product(vectors)
        last, k = self._fields - 1, self._embedding_size
        v = F.reshape(vectors, shape=(0, 0, -1, k))  # (B, N, N-1, K)
        lower = F.slice_axis(v, axis=1, begin=1, end=last + 1)  # (B, N-1, N-1, K)
        upper = F.transpose(F.slice_axis(v, axis=1, begin=0, end=last), axes=(0, 2, 1, 3))  # (B, N-1, N-1, K)
        total = F.FullyConnected(lower * upper, self._triangle(F, vectors), num_hidden=1, no_bias=True)  # (B, 1)
        return F.reshape(total, shape=(-1,))  # (B,)

    def _triangle(self, F: Any, vectors: Tensor) -> Tensor:
        """(1, (N-1)^2 K): ones for the K numbers of each place of the lower triangle, diagonal included, else zeros."""
        some = F.reshape(F.BlockGrad(vectors), shape=(-1,))  # any numbers on the device
        ones = F.ones_like(F.slice_axis(some, axis=0, begin=0, end=self._fields * (self._fields - 1) // 2))
        places = F.reshape(F.linalg.maketrian(ones), shape=(1, -1))  # (1, (N-1)^2)
        return F.repeat(places, repeats=self._embedding_size, axis=1)
