"""Parquet tables have the same bytes however their rows arrived."""

import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.errors import InputError
from pnn_gluon.store import tables
from pnn_gluon.store.tables import TableWriter


def write(path: Path, rows: int, cuts: list[int]) -> bytes:
    batch = pa.record_batch({"x": range(rows), "s": [str(n) for n in range(rows)]})
    edges = sorted({0, rows, *(cut % (rows + 1) for cut in cuts)})
    with TableWriter(path, group_rows=8) as writer:
        for start, stop in itertools.pairwise(edges):
            writer.write(batch.slice(start, stop - start))
    return path.read_bytes()


@settings(max_examples=50)
@given(st.integers(1, 40), st.lists(st.integers(0, 40)))
def test_batches_do_not_show(tmp_path_factory: pytest.TempPathFactory, rows: int, cuts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("table")
    assert write(folder / "a", rows, cuts) == write(folder / "b", rows, [])
    assert pq.read_table(folder / "a")["x"].to_pylist() == list(range(rows))


def coded(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [c.dictionary_encode() if c.type == pa.string() else c for c in batch.columns]
    return pa.record_batch(columns, batch.schema.names)


texts = st.lists(
    st.sampled_from([None, "", "a", "b", "long " * 5, "\N{GREEK SMALL LETTER MU}"]), min_size=1, max_size=60
)


@settings(max_examples=50)
@given(texts, st.lists(st.tuples(st.integers(0, 60), st.booleans())))
def test_texts_and_dictionaries_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, values: list[str | None], cuts: list[tuple[int, bool]]
) -> None:
    folder, batch = tmp_path_factory.mktemp("table"), pa.record_batch({"s": pa.array(values, pa.string())})
    with TableWriter(folder / "texts", group_rows=8, schema=batch.schema) as writer:
        writer.write(batch)
    edges = sorted({0: True, len(values): True, **{cut % len(values): kind for cut, kind in cuts}}.items())
    with TableWriter(folder / "mixed", group_rows=8, schema=batch.schema) as writer:
        for (start, as_codes), (stop, _) in itertools.pairwise(edges):
            part = batch.slice(start, stop - start)
            writer.write(coded(part) if as_codes else part)
    assert (folder / "mixed").read_bytes() == (folder / "texts").read_bytes()
    found = pq.read_table(folder / "mixed")
    assert found.schema.types == [pa.string()]
    assert found["s"].to_pylist() == values


def test_dictionaries_that_are_too_large_together_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [str(n % 30) for n in range(40)]
    batch = pa.record_batch({"s": values})
    monkeypatch.setattr(tables, "MERGED_BYTES", 60)
    with TableWriter(tmp_path / "a") as writer:
        for start in range(0, 40, 10):
            writer.write(batch.slice(start, 10))
    assert pq.read_table(tmp_path / "a")["s"].to_pylist() == values


def test_numbers_that_rise_are_written_as_differences_and_nothing_has_statistics(tmp_path: Path) -> None:
    batch = pa.record_batch({"line": range(1, 3000), "x": [0.5] * 2999})
    with TableWriter(tmp_path / "a", rising=("line", "not there")) as writer:
        writer.write(batch)
    group = pq.read_metadata(tmp_path / "a").row_group(0)
    assert "DELTA_BINARY_PACKED" in group.column(0).encodings
    assert group.column(0).total_compressed_size < 200
    assert [group.column(place).statistics for place in (0, 1)] == [None, None]
    assert pq.read_table(tmp_path / "a").equals(pa.table(batch))


def test_text_in_the_place_of_rising_numbers_is_text(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "a", rising=("line",)) as writer:
        writer.write(pa.record_batch({"line": ["x", "y", "x"]}))
    assert pq.read_table(tmp_path / "a")["line"].to_pylist() == ["x", "y", "x"]


def test_no_rows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows"), TableWriter(tmp_path / "a"):
        pass


def test_groups_are_whole_and_plain_columns_have_no_dictionary(tmp_path: Path) -> None:
    batch = pa.record_batch({"x": range(19), "s": ["s"] * 19})
    with TableWriter(tmp_path / "a", group_rows=8, plain=("x",)) as writer:
        for start in range(0, 19, 3):
            writer.write(batch.slice(start, 3))
    whole = pq.read_metadata(tmp_path / "a")  # while the writer lives: it has closed the file
    groups = [whole.row_group(number) for number in range(whole.num_row_groups)]
    assert [group.num_rows for group in groups] == [8, 8, 3]
    assert [group.column(0).has_dictionary_page for group in groups] == [False] * 3
    assert [group.column(1).has_dictionary_page for group in groups] == [True] * 3
    assert {group.column(column).compression for group in groups for column in (0, 1)} == {"ZSTD"}
    assert writer.path == tmp_path / "a"


def test_a_known_schema_makes_a_table_without_rows(tmp_path: Path) -> None:
    schema = pa.schema({"x": pa.int64()})
    with TableWriter(tmp_path / "a", schema=schema):
        pass
    assert pq.read_table(tmp_path / "a").schema == schema
