"""Id lookups: an embedding vector or a linear weight for each field."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from pnn_gluon.blocks.id_table import IdTable, is_row_parameter, scale
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import native_operators
from pnn_gluon.option_types import Scale
from pnn_gluon.runtime import HybridBlock, Initializer, Tensor, mx


def widest_table(net: HybridBlock, *, one_tensor: bool = False) -> int:
    """Numbers an id of the widest table of ids of a network whose parameters have shapes; 1 where it has none.

    Args:
        net: The network.
        one_tensor: Whether only tables count that are one tensor however many ids there are: those of no `IdTable`.
    """
    tables = {name: each.shape for name, each in net.collect_params().items() if is_row_parameter(name)}
    others: list[IdTable] = []
    net.apply(lambda block: others.append(block) if one_tensor and isinstance(block, IdTable) else None)
    for part in (part for block in others for part in block.parts):
        del tables[part.name]
    return max((math.prod(shape[1:]) for shape in tables.values()), default=1)


def slot_starts(layout: FieldLayout) -> str:
    """First slots of the fields, as native operators take them: `0,1,4`."""
    return ",".join(map(str, layout.starts))


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


EMBEDDING_INITS = ("fields", "ids", "size", "xavier")
"""Names that `embedding_init` takes."""


@dataclass(frozen=True)
class EmbeddingOptions:
    """Size and starting values of embeddings.

    Starting values are uniform in ±bound ([PNN] 4.2 and 5.1.4), with c = `init_scale`:

    - fields: bound = sqrt(c / (N K)), which keeps sums over pairs of inner products small for any number of fields
    - ids: sqrt(c / (V K))
    - size: sqrt(c / K)
    - xavier: sqrt(6 c / (V + K))

    Attributes:
        embedding_size: K.
        embedding_init: One of `EMBEDDING_INITS`.
        init_scale: c.

    Raises:
        ConfigError: a size below 1, an unknown name, or a scale that is not above 0.
    """

    embedding_size: Annotated[int, Field(ge=1, le=1024)] = 10
    embedding_init: Literal["fields", "ids", "size", "xavier"] = "fields"
    init_scale: Scale = 1.0

    def __post_init__(self) -> None:
        if self.embedding_size < 1:
            raise ConfigError(f"embedding_size must be 1 or more, not {self.embedding_size}")
        if self.embedding_init not in EMBEDDING_INITS:
            raise ConfigError(
                f"embedding_init must be one of {', '.join(EMBEDDING_INITS)}, not {self.embedding_init!r}"
            )
        if not 0 < self.init_scale < math.inf:
            raise ConfigError(f"init_scale must be above 0 and finite, not {self.init_scale}")

    def bound(self, fields: int, size: int) -> float:
        """Largest absolute starting value for N fields and V ids."""
        k, c = self.embedding_size, self.init_scale
        squares = {"fields": c / (fields * k), "ids": c / (size * k), "size": c / k, "xavier": 6 * c / (size + k)}
        return math.sqrt(squares[self.embedding_init])


class SlotEmbedding(IdTable):
    """One vector for each slot: ids int32 (B, S) -> (B, S, K); zeros for padding (id 0), which gets no gradient.

    The gradient is row sparse: it holds the ids of the batch, each once.

    Args:
        layout: The fields of a row.
        size: Number of ids V, with padding and the reserved ids.
        options: K and starting values.
        vectors: Vectors of K numbers an id has; with more than one the output is (B, S, vectors K).

    Raises:
        ConfigError: more ids than int32 has.
    """

    def __init__(
        self, layout: FieldLayout, size: int, options: EmbeddingOptions, *, vectors: int = 1, **kwargs: Any
    ) -> None:
        width, init = options.embedding_size * vectors, mx.init.Uniform(options.bound(layout.fields, max(1, size)))
        super().__init__("embedding_weight", size, width, init, **kwargs)

    def hybrid_forward(self, F: Any, ids: Tensor, **tables: Tensor) -> Tensor:
        """ids int32 (B, S) -> (B, S, K)."""
        if native_operators():
            return self._native(F.pnn_embedding, ids, tables)  # (B, S, K)
        present = F.cast(ids != 0, dtype="float32")  # (B, S)
        return scale(F, self._look_up(F, ids, tables), present, self._width)  # (B, S, K)


class FieldEmbedding(SlotEmbedding):
    """One vector for each field: ids int32 (B, S) -> (B, N, K).

    v_i = embedding[id] for a single-valued field; the mean of the embeddings of its values for a multi-valued one
    ([PNN] 4.1); zeros if it has no value. Padding (id 0) never contributes and gets no gradient.
    Arguments, starting values, gradients and errors are those of `SlotEmbedding`; with more than one vector the
    output is (B, N, vectors K).
    """

    def __init__(
        self, layout: FieldLayout, size: int, options: EmbeddingOptions, *, vectors: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(layout, size, options, vectors=vectors, **kwargs)
        self._starts = slot_starts(layout)
        self.slot_weights = SlotWeights(layout)
        self.pooling = FieldPooling(layout, self._width)

    def hybrid_forward(self, F: Any, ids: Tensor, **tables: Tensor) -> Tensor:
        """ids int32 (B, S) -> (B, N, K)."""
        if native_operators():
            return self._native(F.pnn_embedding, ids, tables, starts=self._starts)  # (B, N, K)
        return self.pooling(self._look_up(F, ids, tables), self.slot_weights(ids))


class FieldPooling(HybridBlock):
    """Weighted sum of the slot vectors of each field: vectors (B, S, K), weights (B, S) -> (B, N, K)."""

    def __init__(self, layout: FieldLayout, embedding_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._layout, self._embedding_size = layout, embedding_size

    def hybrid_forward(self, F: Any, vectors: Tensor, weights: Tensor) -> Tensor:
        """vectors (B, S, K), weights (B, S) -> (B, N, K)."""
        k = self._embedding_size
        if native_operators():
            return F.pnn_field_pooling(vectors, weights, starts=slot_starts(self._layout))  # (B, N, K)
        if not self._layout.has_multi_valued:
            return scale(F, vectors, weights, k)  # (B, N, K)
        return F.concat(*[_pool(F, vectors, weights, k, *run) for run in self._layout.runs()], dim=1)


class AdaptiveSizes(HybridBlock):
    """Keeps the first k_i numbers of the vector of field i, the others become 0: (B, N, K) -> (B, N, K).

    A model in which vectors meet only through products and dense weights is then exactly the model with vectors of
    k_i numbers: what meets a 0 has no effect and gets no gradient. Source: [PNN] 3.1 and Table 7, with
    k_i = min(c log V_i, K); see `pnn_gluon.blocks.layout.adaptive_sizes`.

    Args:
        sizes: k_1 ... k_N.
        embedding_size: K.

    Raises:
        ConfigError: a size outside [1, K].
    """

    def __init__(self, sizes: tuple[int, ...], embedding_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not all(1 <= size <= embedding_size for size in sizes):
            raise ConfigError(f"embedding_sizes must be in [1, embedding_size = {embedding_size}], not {sizes}")
        with self.name_scope():
            self.kept = self.params.get(
                "kept", shape=(1, len(sizes), embedding_size), init=_Kept(sizes), grad_req="null"
            )

    def hybrid_forward(self, F: Any, vectors: Tensor, kept: Tensor) -> Tensor:
        """vectors (B, N, K) -> (B, N, K)."""
        return F.broadcast_mul(vectors, kept)


class _Kept(Initializer):
    """1 for the first k_i numbers of field i, else 0."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__(sizes=sizes)
        self._sizes = sizes

    def _init_weight(self, name: str, array: Tensor) -> None:
        array[:] = mx.nd.array(np.arange(array.shape[2])[None, None] < np.array(self._sizes)[None, :, None])


def _pool(F: Any, vectors: Tensor, weights: Tensor, size: int, start: int, end: int, multi: bool) -> Tensor:
    """Weighted vectors of the slots from start to end: each by itself, or summed if they are one field."""
    v = F.slice_axis(vectors, axis=1, begin=start, end=end)  # (B, W, K)
    w = F.slice_axis(weights, axis=1, begin=start, end=end)  # (B, W)
    if multi:
        return F.batch_dot(F.expand_dims(w, axis=1), v)  # (B, 1, K)
    return scale(F, v, w, size)  # (B, W, K)


class LinearTerm(IdTable):
    """The linear part of a factorization machine: ids int32 (B, S) -> (B,).

    sum_i w_i + b, with w_i the weight of field i's id, or the mean over the values of a multi-valued field;
    padding contributes nothing. Weights and bias start at 0. Source: [PNN] 5.1, logistic regression.
    """

    def __init__(self, layout: FieldLayout, size: int, **kwargs: Any) -> None:
        super().__init__("linear_weight", size, 1, "zeros", **kwargs)
        self._starts = slot_starts(layout)
        with self.name_scope():
            self.slot_weights = SlotWeights(layout)
            self.bias = self.params.get("bias", shape=(1,), init="zeros")

    def hybrid_forward(self, F: Any, ids: Tensor, bias: Tensor, **tables: Tensor) -> Tensor:
        """ids int32 (B, S) -> (B,)."""
        if native_operators():
            sums = self._native(F.pnn_embedding_sum, ids, tables, starts=self._starts)  # (B, 1)
            return F.broadcast_add(F.reshape(sums, shape=(-1,)), bias)  # (B,)
        terms = self.slot_weights(ids) * F.reshape(self._look_up(F, ids, tables), shape=(0, -1))  # (B, S)
        return F.broadcast_add(F.sum(terms, axis=1), bias)  # (B,)
