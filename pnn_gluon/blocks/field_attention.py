"""Multi-head self-attention over the fields of a row."""

from typing import Any

from pnn_gluon.blocks.dense import dense_product
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import chosen_precision, native_operators
from pnn_gluon.runtime import HybridBlock, Tensor, mx


class FieldAttention(HybridBlock):
    """One interacting layer: vectors (B, N, D) -> (B, N, heads head_size).

    e'_i = relu([head_1, ..., head_H]_i + W_res e_i), head_h,i = sum_j a^h_ij W_V^h e_j,
    a^h_ij = softmax over j of <W_Q^h e_i, W_K^h e_j>.

    The scores are not divided by sqrt(head_size), and queries, keys and values have neither bias nor activation, as
    in the paper. Weights start as Xavier's. With native operators and `chosen_precision()` bf16, all products are of
    bfloat16, and the softmax is float32. Source: Song et al. (2019), AutoInt, equations 5-8.

    Args:
        inputs: D, size of the incoming vectors.
        heads: Number of heads.
        head_size: Size of queries, keys and values of each head.

    Raises:
        ConfigError: no head, or a head without numbers.
    """

    def __init__(self, inputs: int, heads: int, head_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if heads < 1 or head_size < 1:
            raise ConfigError(f"heads and head_size must be 1 or more, not {heads} and {head_size}")
        self._heads, self._head_size = heads, head_size
        shape = (heads * head_size, inputs)
        xavier = mx.init.Xavier(rnd_type="uniform", factor_type="avg", magnitude=3)
        with self.name_scope():
            self.query_weight = self.params.get("query_weight", shape=shape, init=xavier)
            self.key_weight = self.params.get("key_weight", shape=shape, init=xavier)
            self.value_weight = self.params.get("value_weight", shape=shape, init=xavier)
            self.residual_weight = self.params.get("residual_weight", shape=shape, init=xavier)

    def hybrid_forward(
        self,
        F: Any,
        vectors: Tensor,
        query_weight: Tensor,
        key_weight: Tensor,
        value_weight: Tensor,
        residual_weight: Tensor,
    ) -> Tensor:
        """vectors (B, N, D) -> (B, N, heads head_size)."""
        if native_operators():
            projections = F.concat(query_weight, key_weight, value_weight, residual_weight, dim=0)
            return F.pnn_field_attention(vectors, projections, heads=self._heads, precision=chosen_precision())
        residual = dense_product(F, vectors, residual_weight, self._heads * self._head_size)  # (B, N, heads head_size)
        weights = query_weight, key_weight, value_weight
        heads = [self._head(F, vectors, head, *weights) for head in range(self._heads)]
        return F.relu(F.concat(*heads, dim=2) + residual)

    def _head(self, F: Any, vectors: Tensor, head: int, *weights: Tensor) -> Tensor:
        rows = {"axis": 0, "begin": head * self._head_size, "end": (head + 1) * self._head_size}
        query, key, value = (dense_product(F, vectors, F.slice_axis(w, **rows), self._head_size) for w in weights)
        attention = F.softmax(F.batch_dot(query, key, transpose_b=True), axis=2)  # (B, N, N)
        return F.batch_dot(attention, value)  # (B, N, head_size)
