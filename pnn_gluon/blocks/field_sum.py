"""The sum of the field vectors."""

import warnings
from typing import Any

import numpy as np

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import HybridBlock, Initializer, Tensor, mx

# Native operators leave the constant of the plain form alone: nothing to warn of.
warnings.filterwarnings("ignore", r"Parameter (\S*over_fields(, )?)+ is not used by any computation")


class FieldSum(HybridBlock):
    """sum_i v_i: vectors (B, N, K), as they are or flat (B, N K) -> (B, K).

    A dense layer with a constant tiled identity: MXNet's `sum` over an axis is several times slower.
    """

    def __init__(self, layout: FieldLayout, embedding_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._embedding_size = embedding_size
        with self.name_scope():
            self.over_fields = self.params.get(
                "over_fields",
                shape=(embedding_size, layout.fields * embedding_size),  # (K, N K)
                init=_TiledIdentity(),
                grad_req="null",
            )

    def hybrid_forward(self, F: Any, vectors: Tensor, over_fields: Tensor) -> Tensor:
        """vectors (B, N, K) or (B, N K) -> (B, K)."""
        if native_operators():
            return F.pnn_field_sums(vectors, size=self._embedding_size)
        return F.FullyConnected(vectors, over_fields, num_hidden=self._embedding_size, no_bias=True)


class _TiledIdentity(Initializer):
    """Identity matrices side by side. (A Gluon `Constant` would put a memory address into exported graphs.)"""

    def _init_weight(self, name: str, array: Tensor) -> None:
        size, width = array.shape
        array[:] = mx.nd.array(np.tile(np.eye(size), (1, width // size)))
