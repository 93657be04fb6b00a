"""Texts read as their file's dictionaries: the ids that SQL's texts get, whatever the file looks like."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feature_map_oracle import config_of, day_number, grow, write_counts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pnn_gluon.config import EngineConfig
from pnn_gluon.data import coded_texts as module
from pnn_gluon.data.coded_texts import KnownTexts, coded_texts
from pnn_gluon.data.encoding import encode_rows
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.errors import InputError
from pnn_gluon.store.tables import TableWriter
from pnn_gluon.warehouse.duckdb_engine import connect

FIELDS = [
    {"name": "site"},
    {"name": "tags", "kind": "multi", "separator": "|", "max_values": 3},
    {"name": "price", "kind": "numeric", "bucketing": "edges", "edges": [-1.0, 0.0, 2.5]},
    {"name": "value"},
]
COLUMNS = ("line", "site")
WITH_SQL = "true and true"
"""A condition on the rows: SQL reads all of them."""

words = st.sampled_from(["a", "b", "é", " a", "", "日本", "😀", "a|b", "b||a", "c| a |x"])
rows = st.lists(
    st.tuples(st.none() | words, st.none() | words, st.floats(-3, 3), st.none() | words), min_size=1, max_size=30
)
KINDS = (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()))


@pytest.fixture(scope="module")
def feature_map(tmp_path_factory: pytest.TempPathFactory) -> FeatureMap:
    """A map that knows some words."""
    known = {(field, word) for field in ("site", "tags", "value") for word in ("a", "b", "é", "", "日本", "v7", "7")}
    known |= {("site", f"s{n}") for n in range(0, 3000, 2)}
    counts = write_counts(tmp_path_factory.mktemp("counts") / "counts.parquet", dict.fromkeys(known, (1, 0)))
    return grow(None, config_of(FIELDS), day_number(0), [counts], None, "")


@pytest.fixture
def always_coded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a file is like, its texts are read as dictionaries, a few rows at a time."""
    monkeypatch.setattr(module, "SMALLEST_GROUP", 0)
    monkeypatch.setattr(module, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(module, "_BATCH_ROWS", 7)


def table_of(given: list[tuple[Any, ...]], kind: Any = None) -> pa.Table:
    """Rows of site, tags, price and value, with a number."""
    kind = kind or pa.string()
    site, tags, price, value = zip(*given, strict=True) if given else ((), (), (), ())
    columns = {"site": pa.array(site, pa.string()).cast(kind), "price": pa.array(price, pa.float64())}
    columns |= {"value": pa.array(value, pa.string()), "line": pa.array(range(len(given)), pa.int64())}
    return pa.table(columns | {"tags": pa.array(tags, pa.string()).cast(kind)})


def encoded(
    feature_map: FeatureMap, path: Path, where: str = "true", **options: Any
) -> tuple[Any, list[Any], list[int]]:
    """Ids, carried columns and the numbers of rows of batches."""
    with connect(EngineConfig(threads=1)) as connection:
        batches = list(encode_rows(connection, feature_map, path, COLUMNS, where, **options))
    ids = [batch.ids for batch in batches] or [np.empty((0, feature_map.layout.slots), np.int32)]
    carried = [[batch.columns[name].to_pylist() for name in COLUMNS] for batch in batches]
    return np.concatenate(ids), carried, [len(each) for each in ids]


def assert_as_sql(feature_map: FeatureMap, path: Path, coded: set[str], **options: Any) -> None:
    """The batches are those that SQL alone gives, and these columns are read as dictionaries."""
    with coded_texts(path, feature_map.layout.names) as texts:
        assert set(texts.names) == coded
    found, expected = encoded(feature_map, path, **options), encoded(feature_map, path, WITH_SQL, **options)
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[1:] == expected[1:]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=rows, group=st.integers(1, 12), dictionary=st.booleans(), kind=st.sampled_from(KINDS), page=st.integers(1, 40)
)
def test_ids_are_those_of_the_texts_in_any_file(
    feature_map: FeatureMap,
    tmp_path_factory: pytest.TempPathFactory,
    always_coded: None,
    rows: list[tuple[Any, ...]],
    group: int,
    dictionary: bool,
    kind: Any,
    page: int,
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    options = {"use_dictionary": dictionary, "dictionary_pagesize_limit": page, "write_batch_size": 3}
    pq.write_table(table_of(rows, kind), path, row_group_size=group, **options)
    assert_as_sql(feature_map, path, {"site", "tags", "value"}, batch_rows=11)


def test_a_map_of_texts_alone_is_read_with_nothing_carried(tmp_path: Path, always_coded: None) -> None:
    counts = write_counts(tmp_path / "counts.parquet", {("site", "a"): (1, 0)})
    sites = grow(None, config_of(FIELDS[:1]), day_number(0), [counts], None, "")
    pq.write_table(pa.table({"site": ["a", None, "b", "a"]}), tmp_path / "rows.parquet")
    with connect(EngineConfig(threads=1)) as connection:
        ids = [
            np.concatenate(
                [batch.ids for batch in encode_rows(connection, sites, tmp_path / "rows.parquet", where=where)]
            )
            for where in ("true", WITH_SQL)
        ]
    np.testing.assert_array_equal(*ids)
    assert len(set(ids[0][:, 0])) == 3


def test_row_groups_may_be_empty_and_have_other_dictionaries(
    feature_map: FeatureMap, tmp_path: Path, always_coded: None
) -> None:
    parts = [table_of([(f"s{n + part}", "a|b", 0.5, None) for n in range(20)]) for part in range(3)]
    with pq.ParquetWriter(tmp_path / "rows.parquet", parts[0].schema) as writer:
        for part in (parts[0].slice(0, 0), *parts, parts[0].slice(0, 0), parts[1]):
            writer.write_table(part)
    assert_as_sql(feature_map, tmp_path / "rows.parquet", {"site", "tags", "value"})
    pq.write_table(parts[0].slice(0, 0), tmp_path / "none.parquet", use_dictionary=False)
    assert_as_sql(feature_map, tmp_path / "none.parquet", {"site", "tags", "value"})


def test_integers_and_columns_of_nulls_are_left_to_sql(
    feature_map: FeatureMap, tmp_path: Path, always_coded: None
) -> None:
    table = table_of([("a", "b", 0.5, "7")] * 20)
    table = table.set_column(2, "value", table["value"].cast(pa.int16()))
    pq.write_table(table.set_column(0, "site", pa.nulls(20)), tmp_path / "rows.parquet")
    assert_as_sql(feature_map, tmp_path / "rows.parquet", {"tags"})


def many(distinct: int, rows: int = 40_000) -> pa.Table:
    """Rows of which only `site` has so many texts."""
    drawn = np.random.default_rng(distinct).integers(0, distinct, rows)
    return table_of([(f"s{n}", "a|b" if n % 3 else None, 0.5, f"v{n % 9}") for n in drawn])


@pytest.mark.parametrize("distinct", [1000, 10**7])
def test_a_column_whose_texts_hardly_repeat_is_left_to_sql(
    feature_map: FeatureMap, tmp_path: Path, distinct: int
) -> None:
    pq.write_table(many(distinct), tmp_path / "rows.parquet", row_group_size=15_000)
    coded = {"tags", "value"} | ({"site"} if distinct == 1000 else set())
    assert_as_sql(feature_map, tmp_path / "rows.parquet", coded, batch_rows=16_384)


def test_a_file_of_small_row_groups_is_left_to_sql(feature_map: FeatureMap, tmp_path: Path) -> None:
    pq.write_table(many(10), tmp_path / "rows.parquet", row_group_size=4000)
    assert_as_sql(feature_map, tmp_path / "rows.parquet", set())


def test_tables_of_the_pipeline_are_read_by_their_dictionaries(feature_map: FeatureMap, tmp_path: Path) -> None:
    with TableWriter(tmp_path / "rows.parquet", group_rows=17_000, rising=("line",)) as writer:
        for batch in many(500).to_batches(9000):
            writer.write(batch)
    assert_as_sql(feature_map, tmp_path / "rows.parquet", {"site", "tags", "value"})


def test_a_text_that_is_not_utf_8_is_refused(feature_map: FeatureMap, tmp_path: Path, always_coded: None) -> None:
    table = table_of([("a", "b", 0.5, "a")] * 20)
    bad = pa.array([b"a", b"\xff\xfe"] * 10).view(pa.string())
    pq.write_table(table.set_column(0, "site", bad), tmp_path / "rows.parquet")
    for where in ("true", WITH_SQL):
        with pytest.raises(InputError, match=r"rows\.parquet: can't be encoded"):
            encoded(feature_map, tmp_path / "rows.parquet", where)


def test_a_place_that_no_dictionary_has_is_refused(feature_map: FeatureMap, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(many(3, 20_000), path, compression="none", row_group_size=20_000)
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    assert chunk.path_in_schema == "site"
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset + 500] = 0xFF  # four places of two bits
    path.write_bytes(content)
    with connect(EngineConfig(threads=1)) as connection, pytest.raises(InputError, match="site: places that its dict"):
        list(encode_rows(connection, feature_map, path))


def test_a_file_that_ends_early_is_refused(tmp_path: Path, always_coded: None) -> None:
    pq.write_table(table_of([("a", "b", 0.5, "a")] * 20), tmp_path / "rows.parquet")
    with coded_texts(tmp_path / "rows.parquet", ["site"]) as texts:
        assert sum(piece.num_rows for piece in texts.take(19)) == 19
        with pytest.raises(InputError, match=r"rows\.parquet: ended before its last row"):
            list(texts.take(2))


def test_only_texts_that_the_dictionary_before_did_not_have_are_looked_up() -> None:
    known, asked = KnownTexts(), list[list[str]]()

    def ids_of(texts: Any) -> Any:
        asked.append(texts.to_pylist())
        return np.array([[ord(text)] for text in texts.to_pylist()], np.int32).reshape(-1, 1)

    for texts in (["a", "b"], ["a", "b"], ["a", "b", "c"], ["a"], ["b", "a"], [], ["z"]):
        found = known.ids(0, ids_of, pa.array(texts, pa.large_string()))
        assert found.ravel().tolist() == [ord(text) for text in texts]
    assert asked == [["a", "b"], ["c"], ["a"], ["b", "a"], [], ["z"]]
    assert known.ids(1, ids_of, pa.array(["z"], pa.large_string())).tolist() == [[ord("z")]]
