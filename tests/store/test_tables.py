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
