"""Inner product-based neural network."""

from typing import Any

from pnn_gluon.blocks.embedding import FieldEmbedding
from pnn_gluon.blocks.inner_product import InnerProduct
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import LAYER_NORM_EPSILON, MLP
from pnn_gluon.runtime import HybridBlock, Tensor, mx


class IPNN(HybridBlock):
    """logit = MLP([v_1, ..., v_N, p_12, ..., p_{N-1,N}]), p_ij = <v_i, v_j>.

    With `layer_norm`, both the products p and the hidden layers are normalized ([PNN] 4.4.3).
    Ids int32 (B, S) -> logits (B,). Source: [PNN] (22-23).
    """

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
            self.product = mx.gluon.nn.HybridSequential()
            self.product.add(InnerProduct(layout))
            if layer_norm and layout.pairs > 1:  # one number alone would be normalized to nothing
                self.product.add(mx.gluon.nn.LayerNorm(in_channels=layout.pairs, epsilon=LAYER_NORM_EPSILON))
            self.mlp = MLP(
                layout.fields * embedding_size + layout.pairs,
                hidden,
                activation=activation,
                dropout=dropout,
                layer_norm=layer_norm,
            )

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = self.embedding(ids)  # (B, N, K)
        p = self.product(v)  # (B, P)
        z = F.concat(F.reshape(v, shape=(0, -1)), p, dim=1)  # (B, N K + P)
        return F.reshape(self.mlp(z), shape=(-1,))  # (B,)
