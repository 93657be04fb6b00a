"""DIN: the deep interest network."""

from typing import Any

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldPooling, SlotEmbedding, SlotWeights
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.local_activation import LocalActivation
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.errors import ConfigError
from pnn_gluon.option_types import Activation, FieldName, Widths
from pnn_gluon.runtime import HybridBlock, Tensor


class DIN(HybridBlock):
    """logit = MLP([v_1, ..., v_N]), with the interest in the place of the history's vector.

    interest = sum_s a(e_s, v_candidate) e_s over the slots s of the history, a by `LocalActivation`; the other fields
    have their usual vectors. An empty history gives zeros. The candidate's and the history's ids need not be
    the same for the same thing. Hidden layers start as in the paper: 200 and 80 units, Dice, no normalization.
    Ids int32 (B, S) -> logits (B,). Source: Zhou et al. (2018), Deep Interest Network, equation 3 and figure 2.

    Args:
        candidate: Name of the single-valued field of the candidate.
        history: Name of the field with the values of the past; may have any width.
        attention_hidden: Widths of the hidden layers of the local activation.
        attention_activation: Their activation.

    Raises:
        ConfigError: a candidate or history that is not in the layout, a candidate with several values, or both the
            same field.
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        mlp: MLPOptions = MLPOptions(hidden=(200, 80), activation="dice", normalization="none"),
        candidate: FieldName = "",
        history: FieldName = "",
        attention_hidden: Widths = (80, 40),
        attention_activation: Activation = "dice",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_fields(layout, candidate, history)
        self._all_slots = layout.slots
        self._candidate, _ = _slots(layout, candidate)
        self._history = start, end = _slots(layout, history)
        k = embedding.embedding_size
        with self.name_scope():
            self.embedding = SlotEmbedding(layout, size, embedding)
            self.slot_weights = SlotWeights(layout)
            self.activation = LocalActivation(k, end - start, attention_hidden, attention_activation)
            self.pooling = FieldPooling(layout, k)
            self.mlp = MLP(layout.fields * k, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        e = self.embedding(ids)  # (B, S, K)
        candidate = F.slice_axis(e, axis=1, begin=self._candidate, end=self._candidate + 1)  # (B, 1, K)
        weights = self._with_interest(F, self.slot_weights(ids), self._interest(F, ids, e, candidate))  # (B, S)
        v = self.pooling(e, weights)  # (B, N, K)
        return F.reshape(self.mlp(F.reshape(v, shape=(0, -1))), shape=(-1,))  # (B,)

    def _interest(self, F: Any, ids: Tensor, e: Tensor, candidate: Tensor) -> Tensor:
        start, end = self._history
        present = F.cast(F.slice_axis(ids, axis=1, begin=start, end=end) != 0, dtype="float32")  # (B, W)
        return self.activation(F.slice_axis(e, axis=1, begin=start, end=end), candidate, present)  # (B, W)

    def _with_interest(self, F: Any, weights: Tensor, interest: Tensor) -> Tensor:
        """The weights of the slots, those of the history replaced: (B, S)."""
        start, end = self._history
        parts = [interest]
        if start > 0:
            parts.insert(0, F.slice_axis(weights, axis=1, begin=0, end=start))
        if end < self._all_slots:
            parts.append(F.slice_axis(weights, axis=1, begin=end, end=self._all_slots))
        return F.concat(*parts, dim=1)


def _slots(layout: FieldLayout, name: str) -> tuple[int, int]:
    """First and last slot (not included) of a field."""
    field = layout.names.index(name)
    return layout.starts[field], layout.starts[field] + layout.widths[field]


def _check_fields(layout: FieldLayout, candidate: str, history: str) -> None:
    for option, name in {"candidate": candidate, "history": history}.items():
        if name not in layout.names:
            raise ConfigError(f"din: `{option}` must name a field, not {name!r} (known: {', '.join(layout.names)})")
    if candidate == history:
        raise ConfigError(f"din: `candidate` and `history` must be different fields, not both {candidate!r}")
    start, end = _slots(layout, candidate)
    if end - start > 1:
        raise ConfigError(f"din: `candidate` must have one value a row, but field {candidate!r} has {end - start}")
