"""xDeepFM: a compressed interaction network beside a linear term and a dense network."""

from typing import Any

from pnn_gluon.blocks.compressed_interaction import CompressedInteraction
from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.option_types import Widths
from pnn_gluon.runtime import HybridBlock, Tensor


class XDeepFM(HybridBlock):
    """logit = sum_i w_i + b + CIN(v_1, ..., v_N) + MLP([v_1, ..., v_N]), v shared.

    `feature_maps` are the numbers of feature maps of the CIN's layers, see `CompressedInteraction`.
    Ids int32 (B, S) -> logits (B,). Source: Lian et al. (2018), xDeepFM, section 3.3.
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        mlp: MLPOptions = MLPOptions(),
        feature_maps: Widths = (100, 100),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.linear = LinearTerm(layout, size)
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.interaction = CompressedInteraction(layout, embedding.embedding_size, feature_maps)
            self.mlp = MLP(layout.fields * embedding.embedding_size, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = self.embedding(ids)  # (B, N, K)
        deep = self.mlp(F.reshape(v, shape=(0, -1)))  # (B, 1)
        return self.linear(ids) + self.interaction(v) + F.reshape(deep, shape=(-1,))  # (B,)
