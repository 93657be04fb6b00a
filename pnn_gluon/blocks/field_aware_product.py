"""The second-order term of a field-aware factorization machine."""

from typing import Any

import numpy as np

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import HybridBlock, Initializer, Tensor, mx


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
        with self.name_scope():
            self.triangle = self.params.get(
                "triangle",
                shape=(1, (layout.fields - 1) ** 2 * embedding_size),
                init=_LowerTriangle(embedding_size),
                grad_req="null",
            )

    def hybrid_forward(self, F: Any, vectors: Tensor, triangle: Tensor) -> Tensor:
        """vectors (B, N, (N-1) K) -> (B,)."""
        if native_operators():
            return F.pnn_field_aware_product(vectors)
        last, k = self._fields - 1, self._embedding_size
        v = F.reshape(vectors, shape=(0, 0, -1, k))  # (B, N, N-1, K)
        lower = F.slice_axis(v, axis=1, begin=1, end=last + 1)  # (B, N-1, N-1, K)
        upper = F.transpose(F.slice_axis(v, axis=1, begin=0, end=last), axes=(0, 2, 1, 3))  # (B, N-1, N-1, K)
        total = F.FullyConnected(lower * upper, triangle, num_hidden=1, no_bias=True)  # (B, 1)
        return F.reshape(total, shape=(-1,))  # (B,)


class _LowerTriangle(Initializer):
    """Ones for the K numbers of each place of the lower triangle, diagonal included, else zeros."""

    def __init__(self, size: int) -> None:
        super().__init__(size=size)
        self._size = size

    def _init_weight(self, name: str, array: Tensor) -> None:
        rows = round((array.shape[1] / self._size) ** 0.5)
        array[:] = mx.nd.array(np.repeat(np.tri(rows).reshape(1, -1), self._size, axis=1))
