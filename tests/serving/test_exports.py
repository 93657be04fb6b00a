"""Compressed CSV reads back as it was written, whatever texts and numbers it holds."""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnn_gluon.serving.exports import csv_writer, export_schema, rounded

ODD = ['"', '""', ",", "\n", "\r\n", "\r", "'", "%s", 'a,b\n"c"', " x ", "NULL", "=1+1", "\\"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(ODD)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def written(folder: Path, rows: list[tuple[str, str, int, float, float]]) -> bytes:
    schema = export_schema("float64")
    arrays = [pa.array([row[at] for row in rows], field.type) for at, field in enumerate(schema)]
    path = folder / "scores.csv.gz"
    with csv_writer(path, schema) as write:
        write(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return path.read_bytes()


@given(rows=st.lists(st.tuples(TEXTS, TEXTS, st.integers(1, 2**62), NUMBERS, NUMBERS), max_size=8))
@settings(max_examples=200)
def test_any_text_and_number_reads_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int, float, float]]
) -> None:
    packed = written(tmp_path_factory.mktemp("csv"), rows)
    header, *read = csv.reader(io.StringIO(gzip.decompress(packed).decode(), newline=""))
    assert header == ["row_id", "file", "line", "logit", "probability"]
    assert [(row[0], row[1], int(row[2]), float(row[3]), float(row[4])) for row in read] == rows


@given(values=st.lists(st.floats(1e-12, 1), min_size=1, max_size=20), digits=st.integers(3, 9))
@settings(max_examples=100)
def test_significant_digits_are_the_nearest_and_keep_the_order(values: list[float], digits: int) -> None:
    exact = np.sort(np.array(values))
    found = rounded(exact, str(digits))
    assert (np.diff(found) >= 0).all()
    assert (np.abs(found - exact) <= exact * 0.5 * 10.0 ** (1 - digits) * (1 + 1e-9)).all()
    assert all(float(f"{value:.{digits}g}") == value for value in found)


def test_the_same_rows_give_the_same_bytes_without_a_time_or_a_name(tmp_path: Path) -> None:
    first = written(tmp_path, [("a", "f", 1, -1.5, 0.25)])
    assert first == written(tmp_path, [("a", "f", 1, -1.5, 0.25)])
    assert first[3:8] == b"\x00" * 5  # no name, no time
    assert gzip.decompress(written(tmp_path, [])) == b'"row_id","file","line","logit","probability"\n'
