"""Crossed fields: a weight for each combination of the values of two fields, found by hashing."""

import difflib
from collections.abc import Sequence
from typing import Any

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import HybridBlock, Tensor, mx

_PRIME = 2**31 - 1
_FIRST, _SECOND, _LOW = 2_096_233, 1_601_023, 2**21  # two primes below 2^21, and 2^21
_LARGEST_BUCKETS = 2**31 - 2


def cross_bucket(F: Any, first: Tensor, second: Tensor, buckets: int) -> Tensor:
    """1 + h mod M, or 0 where a or b is padding: ids a and b int32, of equal shapes -> int32 in [0, M = buckets].

    h = g (1 + g mod 2^21) mod p with g = d ((c a + b) mod p) mod p; p = 2^31 - 1, c = 2,096,233, d = 1,601,023.
    The last product is there because the remainder of g alone, which is linear, puts whole ranges of ids into few
    buckets for some M.

    Exact for all ids from 0 to 2^31 - 1: they are cast to int64, and each product has one factor of at most 2^21 and
    one below 2^31, so nothing exceeds 2^52; MXNet's remainder of integers goes through float64, exact to 2^53.
    """
    a, b = F.cast(first, dtype="int64"), F.cast(second, dtype="int64")
    g = (a * _FIRST + b) % _PRIME * _SECOND % _PRIME
    h = g * (1 + g % _LOW) % _PRIME
    return F.cast((1 + h % buckets) * (a != 0) * (b != 0), dtype="int32")


class CrossedFields(HybridBlock):
    """Sum of the weights of the crossed fields: ids int32 (B, S) -> (B,).

    sum over the crosses (f, g) of weight_fg[bucket(id_f, id_g)], see `cross_bucket`; a cross in which one of the two
    is padding contributes nothing. Each cross has a table of its own with M + 1 rows, which start at 0. The rows are
    no ids: they stay when the feature map grows, and their L2 is that of the dense weights (`weight_decay`); the
    gradient is row sparse. Source: Cheng et al. (2016), Wide & Deep Learning, equation 1.

    Args:
        layout: The fields of a row.
        crosses: Pairs of names of single-valued fields.
        buckets: M.

    Raises:
        ConfigError: no cross, a name that is unknown or multi-valued, a pair that is double or of one field with
            itself, or buckets outside [1, 2^31 - 2].
    """

    def __init__(self, layout: FieldLayout, crosses: Sequence[tuple[str, str]], buckets: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _check(layout, crosses, buckets)
        with self.name_scope():
            self.pairs = mx.gluon.nn.HybridSequential()
            for pair in crosses:
                first, second = (layout.starts[layout.names.index(name)] for name in pair)
                self.pairs.add(_Cross(first, second, buckets))

    def hybrid_forward(self, F: Any, ids: Tensor) -> Tensor:
        """ids int32 (B, S) -> (B,)."""
        return F.reshape(F.add_n(*[cross(ids) for cross in self.pairs]), shape=(-1,))


class _Cross(HybridBlock):
    """The weight of one cross: ids int32 (B, S) -> (B, 1)."""

    def __init__(self, first: int, second: int, buckets: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._slots, self._buckets = (first, second), buckets
        with self.name_scope():
            self.cross_weight = self.params.get(
                "cross_weight", shape=(buckets + 1, 1), init="zeros", grad_stype="row_sparse"
            )

    def hybrid_forward(self, F: Any, ids: Tensor, cross_weight: Tensor) -> Tensor:
        """ids int32 (B, S) -> (B, 1)."""
        first, second = (F.slice_axis(ids, axis=1, begin=slot, end=slot + 1) for slot in self._slots)  # (B, 1)
        bucket = cross_bucket(F, first, second, self._buckets)  # (B, 1)
        if native_operators():
            return F.pnn_embedding_sum(bucket, cross_weight)  # (B, 1)
        found = F.Embedding(bucket, cross_weight, input_dim=self._buckets + 1, output_dim=1, sparse_grad=True)
        return F.reshape(found, shape=(0, -1)) * F.cast(bucket != 0, dtype="float32")  # (B, 1)


def _check(layout: FieldLayout, crosses: Sequence[tuple[str, str]], buckets: int) -> None:
    if not crosses:
        raise ConfigError("crosses must be one or more pairs of fields, none given")
    if not 1 <= buckets <= _LARGEST_BUCKETS:
        raise ConfigError(f"cross_buckets must be in [1, {_LARGEST_BUCKETS}], not {buckets}")
    seen: set[frozenset[str]] = set()
    for pair in crosses:
        _check_pair(layout, pair)
        if frozenset(pair) in seen:
            raise ConfigError(f"crosses: the pair {tuple(pair)} is given twice; leave one out")
        seen.add(frozenset(pair))


def _check_pair(layout: FieldLayout, pair: tuple[str, str]) -> None:
    if len(pair) != 2 or pair[0] == pair[1]:
        raise ConfigError(f"crosses: expected two different fields, received {tuple(pair)}")
    for name in pair:
        if name not in layout.names:
            close = difflib.get_close_matches(name, layout.names, n=1)
            meant = f", did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"crosses: no field {name!r}{meant} (fields: {', '.join(layout.names)})")
        width = layout.widths[layout.names.index(name)]
        if width > 1:
            raise ConfigError(f"crosses: field {name!r} is multi-valued (width {width}); only single-valued fields")
