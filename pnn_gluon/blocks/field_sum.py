"""The sum of the field vectors."""

from typing import Any

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import HybridBlock, Tensor


class FieldSum(HybridBlock):
    """sum_i v_i: vectors (B, N, K), as they are or flat (B, N K) -> (B, K).

    The plain form is a dense layer with a tiled identity: MXNet's `sum` over an axis is several times slower.
    """

    def __init__(self, layout: FieldLayout, embedding_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._fields, self._embedding_size = layout.fields, embedding_size

    def hybrid_forward(self, F: Any, vectors: Tensor) -> Tensor:
        """vectors (B, N, K) or (B, N K) -> (B, K)."""
        if native_operators():
            return F.pnn_field_sums(vectors, size=self._embedding_size)
        over_fields = self._tiled_identity(F, vectors)
        return F.FullyConnected(vectors, over_fields, num_hidden=self._embedding_size, no_bias=True)

    def _tiled_identity(self, F: Any, vectors: Tensor) -> Tensor:
        """Identity matrices side by side (K, N K)."""
        some = F.reshape(F.BlockGrad(vectors), shape=(-1,))  # any numbers on the device
        ones = F.ones_like(F.slice_axis(some, axis=0, begin=0, end=self._embedding_size))
        return F.tile(F.linalg.makediag(ones), reps=(1, self._fields))
