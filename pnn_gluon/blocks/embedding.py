"""Id lookups: an embedding vector or a linear weight for each field."""

import math
from typing import Any

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock, Tensor, mx

ROW_PARAMETERS = ("embedding_weight", "linear_weight")
"""Names of parameters with one row for each id end in one of these; their first dimension is V."""

_LARGEST_TENSOR = 2**31 - 1


def is_row_parameter(name: str) -> bool:
    """Whether the parameter of this name has one row for each id (and row-sparse gradients)."""
    return name.endswith(ROW_PARAMETERS)


class SlotWeights(HybridBlock):
    """Weight of each slot in its field's value: ids (B, S) -> float32 (B, S).

    weight[b, s] = present[b, s] / max(1, number of present slots of the field of s in row b),
    where present = (id != 0). So a single-valued field counts 1, a multi-valued field is averaged over its
    values, and padding counts nothing.
    """

    def __init__(self, layout: FieldLayout, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._layout = layout

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> float32 (B, S)."""
        present = F.cast(ids != 0, dtype="float32")  # (B, S)
        if not self._layout.has_multi_valued:
            return present
        return F.concat(*[_shares(F, present, *run) for run in self._layout.runs()], dim=1)


def _shares(F: Any, present: Tensor, start: int, end: int, multi: bool) -> Tensor:
    """Present slots from start to end, divided by their number if they are one field."""
    slots = F.slice_axis(present, axis=1, begin=start, end=end)  # (B, W)
    if not multi:
        return slots
    return F.broadcast_div(slots, F.maximum(F.sum(slots, axis=1, keepdims=True), 1.0))


class FieldEmbedding(HybridBlock):
    """One vector for each field: ids int32 (B, S) -> (B, N, K).

    v_i = embedding[id] for a single-valued field; the mean of the embeddings of its values for a multi-valued one
    ([PNN] 4.1); zeros if it has no value. Padding (id 0) never contributes and gets no gradient.
    The gradient is row sparse: it holds the ids of the batch, each once.

    Starting values are uniform in ±`bound`; the default bound is sqrt(1 / (N K)) ([PNN] 4.2, with c = 1), which
    keeps the sum over pairs of inner products small for any number of fields.

    Args:
        layout: The fields of a row.
        size: Number of ids V, with padding and the reserved ids.
        embedding_size: K.
        bound: Largest absolute starting value; None for the default.

    Raises:
        ConfigError: V x K is beyond what an MXNet tensor can hold.
    """

    def __init__(
        self, layout: FieldLayout, size: int, embedding_size: int, bound: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        _refuse_too_large(size, embedding_size)
        self._layout, self._size, self._embedding_size = layout, size, embedding_size
        with self.name_scope():
            self.slot_weights = SlotWeights(layout)
            self.embedding_weight = self.params.get(
                "embedding_weight",
                shape=(size, embedding_size),
                init=mx.init.Uniform(math.sqrt(1 / (layout.fields * embedding_size)) if bound is None else bound),
                grad_stype="row_sparse",
            )

    def hybrid_forward(self, F: Any, ids: Tensor, embedding_weight: Tensor) -> Tensor:
        """ids int32 (B, S) -> (B, N, K)."""
        size, k = self._size, self._embedding_size
        vectors = F.Embedding(ids, embedding_weight, input_dim=size, output_dim=k, sparse_grad=True)  # (B, S, K)
        weights = self.slot_weights(ids)  # (B, S)
        if not self._layout.has_multi_valued:
            return _scale(F, vectors, weights, k)  # (B, N, K)
        return F.concat(*[_pool(F, vectors, weights, k, *run) for run in self._layout.runs()], dim=1)


def _scale(F: Any, vectors: Tensor, weights: Tensor, size: int) -> Tensor:
    """Vectors (B, W, K) times weights (B, W); repeat and multiply, as broadcasting backward is much slower."""
    return vectors * F.repeat(F.expand_dims(weights, axis=2), repeats=size, axis=2)


def _pool(F: Any, vectors: Tensor, weights: Tensor, size: int, start: int, end: int, multi: bool) -> Tensor:
    """Weighted vectors of the slots from start to end: each by itself, or summed if they are one field."""
    v = F.slice_axis(vectors, axis=1, begin=start, end=end)  # (B, W, K)
    w = F.slice_axis(weights, axis=1, begin=start, end=end)  # (B, W)
    if multi:
        return F.batch_dot(F.expand_dims(w, axis=1), v)  # (B, 1, K)
    return _scale(F, v, w, size)  # (B, W, K)


def _refuse_too_large(size: int, embedding_size: int) -> None:
    if size < 1 or embedding_size < 1:
        raise ConfigError(f"number of ids and embedding size must be 1 or more, not {size} and {embedding_size}")
    if size * embedding_size > _LARGEST_TENSOR:
        raise ConfigError(
            f"{size} ids x embedding size {embedding_size} = {size * embedding_size} numbers, more than the "
            f"{_LARGEST_TENSOR} an MXNet tensor holds: lower embedding_size or raise min_impressions"
        )


class LinearTerm(HybridBlock):
    """The linear part of a factorization machine: ids int32 (B, S) -> (B,).

    sum_i w_i + b, with w_i the weight of field i's id, or the mean over the values of a multi-valued field;
    padding contributes nothing. Weights and bias start at 0. Source: [PNN] 5.1, logistic regression.
    """

    def __init__(self, layout: FieldLayout, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _refuse_too_large(size, 1)
        self._size = size
        with self.name_scope():
            self.slot_weights = SlotWeights(layout)
            self.linear_weight = self.params.get(
                "linear_weight", shape=(size, 1), init="zeros", grad_stype="row_sparse"
            )
            self.bias = self.params.get("bias", shape=(1,), init="zeros")

    def hybrid_forward(self, F: Any, ids: Tensor, linear_weight: Tensor, bias: Tensor) -> Tensor:
        """ids int32 (B, S) -> (B,)."""
        found = F.Embedding(ids, linear_weight, input_dim=self._size, output_dim=1, sparse_grad=True)  # (B, S, 1)
        terms = self.slot_weights(ids) * F.reshape(found, shape=(0, -1))  # (B, S)
        return F.broadcast_add(F.sum(terms, axis=1), bias)  # (B,)
