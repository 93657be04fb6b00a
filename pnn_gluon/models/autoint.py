"""AutoInt: multi-head self-attention over fields."""

from typing import Any

from pnn_gluon.blocks.dense import Dense
from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding
from pnn_gluon.blocks.field_attention import FieldAttention
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.errors import ConfigError
from pnn_gluon.option_types import Count
from pnn_gluon.runtime import HybridBlock, Tensor, mx

_NO_MLP = MLPOptions(hidden=())


class AutoInt(HybridBlock):
    """logit = w^T [e_1, ..., e_N] + b, e = `attention_layers` layers of `FieldAttention` on v_1, ..., v_N.

    With `hidden` layers, MLP([v_1, ..., v_N]) on the same embeddings is added (AutoInt+). There is no linear term.
    Ids int32 (B, S) -> logits (B,). Source: Song et al. (2019), AutoInt, equations 5-9; AutoInt+: section 5.5.

    Args:
        attention_layers: Number of attention layers.
        heads: Heads of each layer.
        head_size: Size of each head.

    Raises:
        ConfigError: no attention layer, or activation, dropout or normalization given without hidden layers.
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        mlp: MLPOptions = _NO_MLP,
        attention_layers: Count = 3,
        heads: Count = 2,
        head_size: Count = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if attention_layers < 1:
            raise ConfigError(f"attention_layers must be 1 or more, not {attention_layers}")
        _check_options_have_an_effect(mlp)
        inputs = (embedding.embedding_size, *[heads * head_size] * attention_layers)
        with self.name_scope():
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.attention = mx.gluon.nn.HybridSequential()
            for width in inputs[:-1]:
                self.attention.add(FieldAttention(width, heads, head_size))
            self.output = Dense(1, layout.fields * inputs[-1])
            self.mlp = MLP(layout.fields * embedding.embedding_size, mlp) if mlp.hidden else None

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        v = self.embedding(ids)  # (B, N, K)
        e = self.attention(v)  # (B, N, heads head_size)
        logit = self.output(F.reshape(e, shape=(0, -1)))  # (B, 1)
        if self.mlp is not None:
            logit = logit + self.mlp(F.reshape(v, shape=(0, -1)))  # (B, 1)
        return F.reshape(logit, shape=(-1,))  # (B,)


def _check_options_have_an_effect(mlp: MLPOptions) -> None:
    if not mlp.hidden and mlp != _NO_MLP:
        raise ConfigError(
            f"autoint without hidden layers takes no activation, dropout or normalization, but got {mlp}: "
            "give `hidden` (AutoInt+) or leave them out"
        )
