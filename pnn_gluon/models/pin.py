"""Product-network in network."""

from typing import Any

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.blocks.pair_network import PairNetwork
from pnn_gluon.option_types import Count, SubnetNormalization
from pnn_gluon.runtime import HybridBlock, Tensor


class PIN(HybridBlock):
    """logit = MLP([f_12, ..., f_{N-1,N}]), f_ij = relu(norm([v_i, v_j, v_i * v_j] W1_ij + b1_ij)) W2_ij + b2_ij.

    Ids int32 (B, S) -> logits (B,). `subnet_hidden` is the width of W1_ij, `subnet_outputs` that of W2_ij, and
    `subnet_normalization` is one of `pnn_gluon.blocks.pair_network.SUBNET_NORMALIZATIONS`; `normalization` acts on the
    hidden layers of the MLP.

    The MLP reads the f_ij alone: links from the embeddings are redundant ([PNN] (34)). There is no linear (wide) term:
    (33) has none, and Table 10's 26.48 million weights for a million ids come out without its million.
    Source: [PNN] (29-33).

    Raises:
        ConfigError: fewer than two fields, a width below 1, or an unknown normalization.
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        mlp: MLPOptions = MLPOptions(),
        subnet_hidden: Count = 40,
        subnet_outputs: Count = 5,
        subnet_normalization: SubnetNormalization = "fused",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.product = PairNetwork(
                layout, embedding.embedding_size, subnet_hidden, subnet_outputs, normalization=subnet_normalization
            )
            self.mlp = MLP(layout.pairs * subnet_outputs, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        f = self.product(self.embedding(ids))  # (B, P D)
        return F.reshape(self.mlp(f), shape=(-1,))  # (B,)
