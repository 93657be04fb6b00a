"""The second-order term of a factorization machine."""

from typing import Any

import numpy as np

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.runtime import HybridBlock, Initializer, Tensor, mx


class _TiledIdentity(Initializer):
    """Identity matrices side by side. (A Gluon `Constant` would put a memory address into exported graphs.)"""

    def _init_weight(self, name: str, array: Tensor) -> None:
        size, width = array.shape
        array[:] = mx.nd.array(np.tile(np.eye(size), (1, width // size)))


class FMInteraction(HybridBlock):
    """Sum over pairs of inner products: vectors (B, N, K) -> (B,).

    sum_{i<j} <v_i, v_j> = 1/2 sum_k ((sum_i v_ik)^2 - sum_i v_ik^2). Source: [PNN] (2); Rendle (2010), lemma 3.1.
    The sums over fields are dense layers with a constant tiled identity: MXNet's `sum` is several times slower.
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
        """vectors (B, N, K) -> (B,)."""
        flat = F.reshape(vectors, shape=(0, -1))  # (B, N K)
        k = self._embedding_size
        total = F.FullyConnected(flat, over_fields, num_hidden=k, no_bias=True)  # (B, K)
        squares = F.FullyConnected(F.square(flat), over_fields, num_hidden=k, no_bias=True)  # (B, K)
        return 0.5 * F.sum(F.square(total) - squares, axis=1)  # (B,)
