"""Wide & Deep: logistic regression, with crossed fields if wanted, beside a dense network."""

from typing import Any

from pnn_gluon.blocks.crossed_fields import CrossedFields
from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.mlp import MLP, MLPOptions
from pnn_gluon.errors import ConfigError
from pnn_gluon.option_types import Count, FieldName
from pnn_gluon.runtime import HybridBlock, Tensor

DEFAULT_CROSS_BUCKETS = 100_000
"""Buckets of each cross if `cross_buckets` is left out."""


class WDL(HybridBlock):
    """logit = sum_i w_i + b + sum_{crosses (f, g)} w_fg[bucket(id_f, id_g)] + MLP([v_1, ..., v_N]).

    Ids int32 (B, S) -> logits (B,). Source: Cheng et al. (2016), Wide & Deep Learning, equations 1 and 3.

    Args:
        layout: The fields of a row.
        size: Number of ids V.
        embedding: K and starting values.
        mlp: The hidden layers.
        crosses: Pairs of names of single-valued fields; see `CrossedFields`.
        cross_buckets: Hash buckets of each cross; None is `DEFAULT_CROSS_BUCKETS`.

    Raises:
        ConfigError: crosses that `CrossedFields` refuses, or cross_buckets without crosses.
    """

    def __init__(
        self,
        layout: FieldLayout,
        size: int,
        *,
        embedding: EmbeddingOptions = EmbeddingOptions(),
        mlp: MLPOptions = MLPOptions(),
        crosses: tuple[tuple[FieldName, FieldName], ...] = (),
        cross_buckets: Count | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if cross_buckets is not None and not crosses:
            raise ConfigError(f"cross_buckets = {cross_buckets} has no effect without crosses: give both or neither")
        buckets = DEFAULT_CROSS_BUCKETS if cross_buckets is None else cross_buckets
        with self.name_scope():
            self.linear = LinearTerm(layout, size)
            self.crosses = CrossedFields(layout, crosses, buckets) if crosses else None
            self.embedding = FieldEmbedding(layout, size, embedding)
            self.mlp = MLP(layout.fields * embedding.embedding_size, mlp)

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> logits (B,)."""
        wide = self.linear(ids)  # (B,)
        if self.crosses is not None:
            wide = wide + self.crosses(ids)  # (B,)
        deep = self.mlp(F.reshape(self.embedding(ids), shape=(0, -1)))  # (B, 1)
        return wide + F.reshape(deep, shape=(-1,))  # (B,)
