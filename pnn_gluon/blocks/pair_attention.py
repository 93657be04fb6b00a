"""Attention over the products of pairs of field vectors."""

from typing import Any

from pnn_gluon.blocks.dense import dense_product
from pnn_gluon.blocks.field_sum import FieldSum
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.pairs import field_pairs, unstack
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock, Tensor, mx


class PairAttention(HybridBlock):
    """sum_{i<j} a_ij (v_i * v_j): vectors (B, N, K) -> (B, K).

    a = softmax over pairs of h^T relu(W (v_i * v_j) + c) / temperature. A low temperature lets few pairs count, a high
    one makes all count the same.

    The weighted sum is sum_j v_j * sum_{i<j} a_ij v_i: one small matrix product, without the products of all pairs.
    Each pair is scored alone: its tensors (B, K) and (B, H) stay in the processor's cache.

    Parameters: `attention_weight` W (H, K), `attention_bias` c (H,), `attention_output_weight` h (1, H); the training
    option `attention_l2` acts on W and h. Source: [PNN] (3); Xiao et al. (2017), equations 4-6.

    Args:
        layout: The fields of a row.
        embedding_size: K.
        hidden: H, rows of W.
        temperature: Divides the scores.

    Raises:
        ConfigError: fewer than two fields, no hidden unit, or a temperature that is not above 0.
    """

    def __init__(
        self, layout: FieldLayout, embedding_size: int, hidden: int, temperature: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._pairs, self._fields = field_pairs(layout), layout.fields
        if hidden < 1 or not temperature > 0:
            raise ConfigError(
                f"attention_size must be 1 or more and temperature above 0, not {hidden} and {temperature}"
            )
        self._hidden, self._temperature = hidden, temperature
        xavier = mx.init.Xavier(rnd_type="uniform", factor_type="avg", magnitude=3)
        with self.name_scope():
            self.attention_weight = self.params.get("attention_weight", shape=(hidden, embedding_size), init=xavier)
            self.attention_bias = self.params.get("attention_bias", shape=(hidden,), init="zeros")
            self.attention_output_weight = self.params.get("attention_output_weight", shape=(1, hidden), init=xavier)
            self.over_fields = FieldSum(layout, embedding_size)

    def hybrid_forward(self, F: Any, vectors: Tensor, **parameters: Tensor) -> Tensor:
        """vectors (B, N, K) -> (B, K)."""
        v = unstack(F, vectors, 1, self._fields)  # N of (B, K)
        scores = F.concat(*[self._score(F, v[i] * v[j], **parameters) for i, j in self._pairs], dim=1)  # (B, P)
        attention = F.softmax(scores, axis=1, temperature=self._temperature)  # (B, P)
        partners = F.linalg.maketrian(attention, offset=-1)  # (B, N, N), a_ij in row j and column i
        return self.over_fields(F.batch_dot(partners, vectors) * vectors)  # (B, K)

    def _score(
        self,
        F: Any,
        product: Tensor,
        attention_weight: Tensor,
        attention_bias: Tensor,
        attention_output_weight: Tensor,
    ) -> Tensor:
        hidden = dense_product(F, product, attention_weight, self._hidden, attention_bias, "relu")  # (B, H)
        return dense_product(F, hidden, attention_output_weight, 1)  # (B, 1)
