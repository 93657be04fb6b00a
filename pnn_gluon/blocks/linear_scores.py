"""Several linear terms on the same ids."""

import math
from typing import Any

from pnn_gluon.blocks.embedding import SlotWeights, slot_starts
from pnn_gluon.blocks.id_table import IdTable
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import Tensor, mx


class LinearScores(IdTable):
    """M linear terms: ids int32 (B, S) -> (B, M).

    score_m = sum_i w_im + b_m, with w_i the row of field i's id, or the mean over the values of a multi-valued field;
    padding contributes nothing. Weights start uniform in ±0.1 / sqrt(N), so that the terms differ and a score starts
    small for any number of fields; biases at 0. The gradient of the weights is row sparse.

    Args:
        layout: The fields of a row.
        size: Number of ids V.
        scores: M.
    """

    def __init__(self, layout: FieldLayout, size: int, scores: int, **kwargs: Any) -> None:
        init = mx.init.Uniform(0.1 / math.sqrt(layout.fields))
        super().__init__("linear_weight", size, scores, init, **kwargs)
        self._starts = slot_starts(layout)
        with self.name_scope():
            self.slot_weights = SlotWeights(layout)
            self.bias = self.params.get("bias", shape=(scores,), init="zeros")

    def hybrid_forward(self, F: Any, ids: Tensor, bias: Tensor, **tables: Tensor) -> Tensor:
        """ids int32 (B, S) -> (B, M)."""
        if native_operators():
            sums = self._native(F.pnn_embedding_sum, ids, tables, starts=self._starts)  # (B, M)
            return F.broadcast_add(sums, bias)  # (B, M)
        found = self._look_up(F, ids, tables)  # (B, S, M)
        shares = F.expand_dims(self.slot_weights(ids), axis=1)  # (B, 1, S)
        return F.broadcast_add(F.reshape(F.batch_dot(shares, found), shape=(0, -1)), bias)  # (B, M)
