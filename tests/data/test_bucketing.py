import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.config import EngineConfig, NumericField
from pnn_gluon.data.bucketing import bucket_of, fit_quantiles, rule_edges
from pnn_gluon.errors import InputError
from pnn_gluon.warehouse.duckdb_engine import connect


def edges_of(**options):
    return rule_edges(NumericField(name="x", kind="numeric", **options))


def test_log_buckets_are_the_floor_of_the_logarithm():
    edges = edges_of(bucketing="log")
    values = np.array([0.004, 0.3, 0.5, 1, 2, 2.7, 2.8, 7.3, 7.5, 100, 12345, 1e9, 3.5e18])
    zero = bucket_of(edges, np.array([1.0]))[0]
    np.testing.assert_array_equal(bucket_of(edges, values) - zero, [math.floor(math.log(value)) for value in values])


def test_log_buckets_tell_negative_zero_tiny_and_huge_apart():
    edges = edges_of(bucketing="log")
    values = np.array([-np.inf, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1e-9, 2.1e-9, 1.4e19, np.inf])
    np.testing.assert_array_equal(bucket_of(edges, values), [0, 0, 0, 1, 1, 2, 2, 3, len(edges), len(edges)])


def test_log_square_buckets_are_the_rule_of_the_criteo_winners():
    edges = edges_of(bucketing="log_square")
    rng = np.random.default_rng(0)
    values = np.concatenate([np.arange(-10, 2000), rng.integers(2000, 2**31 - 1, 5000)]).astype(float)
    named = [f"SP{int(v)}" if v <= 2 else str(math.floor(math.log(v) ** 2)) for v in values]
    buckets = bucket_of(edges, values)
    for left, right in ((named, buckets), (buckets, named)):
        pairs = {}
        assert all(pairs.setdefault(a, b) == b for a, b in zip(left, right, strict=True))
    assert (np.diff(buckets[np.argsort(values)]) >= 0).all()


def test_log_square_buckets_share_the_extremes():
    edges = edges_of(bucketing="log_square")
    values = np.array([-np.inf, -1e6, -10.5, -10, -9.5, 2.0, 2.5, 2.7, 2.8, 2.0**31, 1e300])
    first_log = 14  # below -10, thirteen whole numbers -10 ... 2, then floor(ln(v)^2) = 0
    np.testing.assert_array_equal(
        bucket_of(edges, values),
        [0, 0, 0, 1, 1, 13, first_log, first_log, first_log + 1, first_log + 461, first_log + 462],
    )


def test_a_value_equal_to_an_edge_belongs_to_the_bucket_above():
    edges = edges_of(bucketing="edges", edges=(18, 25, 35))
    np.testing.assert_array_equal(bucket_of(edges, np.array([17.9, 18, 24.9, 25, 35, 99])), [0, 1, 1, 2, 3, 3])


near_whole = st.integers(-20, 4100).flatmap(lambda n: st.sampled_from([n, n + 0.5, np.nextafter(n, 1e9), -float(n)]))


@settings(max_examples=40)
@given(
    edges=st.sets(near_whole | st.floats(allow_nan=False, allow_infinity=False), max_size=40),
    values=st.lists(near_whole | st.floats(), max_size=40),
)
def test_many_values_have_the_buckets_of_a_binary_search(edges, values):
    edges, many = tuple(sorted(map(float, edges))), np.resize(np.array([0.0, -0.0, 4079.0, *values], float), 9000)
    np.testing.assert_array_equal(bucket_of(edges, many), np.searchsorted(edges, many, side="right"))


def test_bucket_numbers_are_int32():
    assert bucket_of((1.0,), np.array([0.0, 2.0])).dtype == np.int32


def percentile_disc_edges(values, buckets):
    """The least value with #(x <= v) / n >= k / buckets, for k = 1 ... buckets - 1."""
    finite = sorted(v for v in values if v is not None and math.isfinite(v))
    found = {
        next(v for i, v in enumerate(finite, 1) if i * buckets >= k * len(finite)) for k in range(1, buckets) if finite
    }
    return tuple(sorted(found))


numbers = st.one_of(
    st.none(),
    st.integers(-3, 3).map(float),
    st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7e308]),
    st.floats(),
)


@settings(max_examples=12)
@given(x=st.lists(numbers, max_size=60), buckets=st.integers(2, 12))
def test_quantile_edges_are_percentile_disc(tmp_path_factory, x, buckets):
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    y = [None if v is None else -v for v in x]
    pq.write_table(pa.table({"x": pa.array(x, pa.float64()), "y": pa.array(y, pa.float64())}), path)
    fields = [
        NumericField(name="y", kind="numeric", buckets=3),
        NumericField(name="x", kind="numeric", buckets=buckets),
    ]
    with connect(EngineConfig(threads=2)) as connection:
        edges = fit_quantiles(connection, fields, path)
    assert edges == {"x": percentile_disc_edges(x, buckets), "y": percentile_disc_edges(y, 3)}
    assert all(math.copysign(1, edge) == 1 for edge in edges["x"] if edge == 0)


def test_quantile_edges_equal_the_engines_percentile_disc(tmp_path):
    values = np.random.default_rng(1).lognormal(1, 2, 5000).round(1)
    pq.write_table(pa.table({"x": values}), tmp_path / "rows.parquet")
    with connect(EngineConfig()) as connection:
        edges = fit_quantiles(
            connection, [NumericField(name="x", kind="numeric", buckets=8)], tmp_path / "rows.parquet"
        )
        shares = ", ".join(f"percentile_disc({k / 8}) within group (order by x)" for k in range(1, 8))
        expected = connection.sql(f"select {shares} from '{tmp_path / 'rows.parquet'}'").fetchall()[0]
    assert edges["x"] == tuple(sorted(set(expected)))


def test_rows_without_the_field_are_refused(tmp_path):
    pq.write_table(pa.table({"other": [1.0]}), tmp_path / "rows.parquet")
    with connect(EngineConfig()) as connection, pytest.raises(InputError, match=r"(?s)rows.parquet.*ingest"):
        fit_quantiles(connection, [NumericField(name="x", kind="numeric")], tmp_path / "rows.parquet")
