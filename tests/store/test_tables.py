"""Parquet tables have the same bytes however their rows arrived."""

import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.errors import InputError
from pnn_gluon.store.tables import TableWriter


def write(path: Path, rows: int, cuts: list[int]) -> bytes:
    batch = pa.record_batch({"x": range(rows), "s": [str(n) for n in range(rows)]})
    edges = sorted({0, rows, *(cut % (rows + 1) for cut in cuts)})
    with TableWriter(path, group_rows=8) as writer:
        for start, stop in itertools.pairwise(edges):
            writer.write(batch.slice(start, stop - start))
    return path.read_bytes()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.lists(st.integers(0, 40)))
def test_batches_do_not_show(tmp_path_factory: pytest.TempPathFactory, rows: int, cuts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("table")
    assert write(folder / "a", rows, cuts) == write(folder / "b", rows, [])
    assert pq.read_table(folder / "a")["x"].to_pylist() == list(range(rows))


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
