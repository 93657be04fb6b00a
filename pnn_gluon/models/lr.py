"""Logistic regression."""

from typing import Any

from pnn_gluon.blocks.embedding import LinearTerm
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.runtime import HybridBlock, Tensor


class LR(HybridBlock):
    """logit = sum_i w_i + b. Ids int32 (B, S) -> logits (B,). Source: [PNN] 5.1."""

    def __init__(self, layout: FieldLayout, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.linear = LinearTerm(layout, size)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        return self.linear(ids)
