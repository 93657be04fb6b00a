"""Numbers to buckets: every rule is a list of rising float64 edges, and a bucket is one binary search.

With edges e_0 < e_1 < ... < e_(m-1) there are m + 1 buckets; bucket b holds e_(b-1) <= v < e_b, that is
`numpy.searchsorted(edges, v, side="right")`: a value equal to an edge belongs to the bucket above it.
"""

import math
from decimal import Decimal, localcontext
from functools import cache, lru_cache

import duckdb
import numpy as np
import numpy.typing as npt

from pnn_gluon.config import NumericField
from pnn_gluon.errors import InputError
from pnn_gluon.store.parts import Files, named
from pnn_gluon.warehouse.duckdb_engine import statement

Edges = tuple[float, ...]

UNREADABLE = (duckdb.IOException, duckdb.InvalidInputException, duckdb.BinderException, duckdb.CatalogException)
"""What DuckDB raises for a file that is absent or damaged, and for columns or relations that are not there."""

LOG_POWERS = range(-20, 45)
"""The k of the edges e^k: floor(ln v) is told apart for e^-20 <= v < e^44 (1.3e19), clipped outside."""

_WHOLE = np.arange(-16.0, 4080.0)
"""Whole numbers, such as counts, of which most columns are full: they have their bucket in a table."""

SMALLEST_INTEGER = -10
LARGEST_LOG_SQUARE = 462
"""floor(ln(v)^2) is told apart up to v = 2^31 (ln(v)^2 = 461.7), clipped above."""


def rule_edges(field: NumericField) -> Edges:
    """Edges that follow from the configuration alone; none yet for quantiles, which the first rows decide."""
    match field.bucketing:
        case "log":
            return _log_edges()
        case "log_square":
            return _log_square_edges()
        case "edges":
            return field.edges
        case "quantile":
            return ()


def fit_quantiles(
    connection: duckdb.DuckDBPyConnection, fields: list[NumericField], rows: Files, weighted: bool = False
) -> dict[str, Edges]:
    """Edges at the k/B quantiles of each field, k = 1 ... B - 1, equal ones merged.

    The k/B quantile is PERCENTILE_DISC's: the least value v with #(x <= v) / #(x) >= k / B, over the finite
    values. Written with running sums of whole numbers, which is exact and spills to disk, so memory stays
    bounded. A field without values gets no edges: it is not fitted yet. Rows that are `weighted` count by their weight.

    Raises:
        InputError: the rows are not there or lack a field.
    """
    impressions = "cast(sum(weight) as bigint)" if weighted else "count(*)"
    queries = {
        f.name: statement("quantiles", rows=rows, field=f.name, buckets=f.buckets, impressions=impressions)
        for f in fields
    }
    try:
        found = {name: connection.sql(query).fetchnumpy()["value"] for name, query in queries.items()}
    except UNREADABLE as error:
        raise InputError(
            f"{named(rows)}: can't fit quantile edges of {', '.join(f.name for f in fields)}: {error}; "
            "ingest the first day with the present configuration again"
        ) from error
    return {name: _rising(np.asarray(values, np.float64)) for name, values in found.items()}


def bucket_of(edges: Edges, values: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Bucket of each value, (n,) in 0 ... len(edges); for NaN it is the last and means nothing."""
    if len(values) < len(_WHOLE):
        return np.searchsorted(edges, values, side="right").astype(np.int32)
    near = (values >= _WHOLE[0]) & (values <= _WHOLE[-1])
    whole = np.where(near, values, 0).astype(np.int32)
    buckets: npt.NDArray[np.int32] = _buckets_of_whole(edges)[whole - int(_WHOLE[0])]
    others = np.flatnonzero(~near | (whole != values))
    buckets[others] = np.searchsorted(edges, values[others], side="right")
    return buckets


@lru_cache(maxsize=1024)
def _buckets_of_whole(edges: Edges) -> npt.NDArray[np.int32]:
    return np.searchsorted(edges, _WHOLE, side="right").astype(np.int32)


def _rising(values: npt.NDArray[np.float64]) -> Edges:
    """Distinct values in order; -0.0 becomes 0.0, so that equal edges have equal bytes."""
    return tuple(float(value) for value in np.unique(values + 0.0))


@cache
def _log_edges() -> Edges:
    """Buckets: v < 0, v = 0, 0 < v < e^-20, then floor(ln v)."""
    return (0.0, math.nextafter(0, 1), *(_exp(Decimal(k)) for k in LOG_POWERS))


@cache
def _log_square_edges() -> Edges:
    """The rule of the winners of Criteo's 2014 contest: floor(v) for v <= 2, else floor(ln(v)^2).

    Everything below -10 shares a bucket. Source: Juan, Zhuang, Chin, "3 Idiots' Approach for Display
    Advertising Challenge" (2014), section on preprocessing.
    """
    whole = (float(value) for value in range(SMALLEST_INTEGER, 3))
    return (*whole, math.nextafter(2, 3), *(_exp(Decimal(m).sqrt()) for m in range(1, LARGEST_LOG_SQUARE + 1)))


def _exp(power: Decimal) -> float:
    """e^power correctly rounded, so that every machine has the same edges (libm's exp may differ)."""
    with localcontext(prec=40):
        return float(power.exp())
