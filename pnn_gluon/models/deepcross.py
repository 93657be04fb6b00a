"""Deep Crossing: residual units on the embeddings."""

from typing import Any

from pnn_gluon.blocks.dense import Dense
from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.residual_unit import ResidualOptions, ResidualUnit
from pnn_gluon.runtime import HybridBlock, Tensor, mx

_PAPER = ResidualOptions()


class DeepCross(HybridBlock):
    """logit = w^T unit_n(... unit_1([v_1, ..., v_N])) + b, each unit x -> activation(x + W_2 activation(W_1 x + ...)).

    Units keep the width N K; `residual_units` are their inner widths. See `ResidualUnit`.
    Ids int32 (B, S) -> logits (B,). Source: Shan et al. (2016), Deep Crossing; as compared with by
    He & Chua (2017), 4.1.3.
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        residual: ResidualOptions = _PAPER,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        width = layout.fields * embedding.embedding_size
        with self.name_scope():
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.units = mx.gluon.nn.HybridSequential()
            for inner in residual.residual_units:
                self.units.add(ResidualUnit(width, inner, residual))
            self.output = Dense(1, width)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = F.reshape(self.embedding(ids), shape=(0, -1))  # (B, N K)
        return F.reshape(self.output(self.units(v)), shape=(-1,))  # (B,)
