"""Factorization-machine supported neural network: embeddings and a dense network."""

from typing import Any

from pnn_gluon.blocks.embedding import FieldEmbedding
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP
from pnn_gluon.runtime import HybridBlock, Tensor


class FNN(HybridBlock):
    """logit = MLP([v_1, ..., v_N]). Ids int32 (B, S) -> logits (B,). Source: [PNN] (16)."""

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding_size: int = 10,
        hidden: tuple[int, ...] = (400, 400, 400),
        activation: str = "relu",
        dropout: float = 0.0,
        layer_norm: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.embedding = FieldEmbedding(layout, size, embedding_size)
            self.mlp = MLP(
                layout.fields * embedding_size,
                hidden,
                activation=activation,
                dropout=dropout,
                layer_norm=layer_norm,
            )

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = F.reshape(self.embedding(ids), shape=(0, -1))  # (B, N K)
        return F.reshape(self.mlp(v), shape=(-1,))  # (B,)
