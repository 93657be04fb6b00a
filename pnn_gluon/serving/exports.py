"""Scores in the form that a person asked for: Parquet or compressed CSV, to a chosen precision."""

import gzip
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pnn_gluon.config import EngineConfig
from pnn_gluon.data.sampled_rows import RawRows
from pnn_gluon.disk_errors import naming
from pnn_gluon.serving.bundle import Bundle
from pnn_gluon.serving.scoring import KEYS, score_batches
from pnn_gluon.store.tables import TableWriter


def write_export(bundle: Bundle, engine: EngineConfig, rows: RawRows, output: Path, precision: str = "float64") -> int:
    """Score every line of files: row_id, file, line, logit, probability, in the order of the rows.

    A line of counts has two rows, one after the other, of the same fields and so of one score; it is written once.

    Args:
        bundle: What scores them.
        engine: What reads them.
        rows: Parquet files with a column for each field of the bundle; they may have no row.
        output: What to write: `*.csv.gz` (RFC 4180 with a header, UTF-8, the shortest text that reads back as the same
            number), else Parquet. The same rows give the same bytes.
        precision: Of logit and probability: `float64`, `float32`, or a number of significant decimal digits.

    Returns:
        The number of lines.
    """
    schema, count, last = export_schema(precision), 0, None
    with score_batches(bundle, engine, rows, KEYS) as batches, _writer(output, schema) as write:
        for batch in batches:
            scored = batch.arrow()
            last, told = key_of(scored, -1), scored.filter(begins_line(scored, last))
            columns = [_column(told, field, precision) for field in schema]
            write(pa.RecordBatch.from_arrays(columns, schema=schema))
            count += told.num_rows
    return count


def key_of(scored: pa.RecordBatch, place: int) -> tuple[str, int]:
    """File and line of a row."""
    return scored.column("file")[place].as_py(), scored.column("line")[place].as_py()


def begins_line(scored: pa.RecordBatch, before: tuple[str, int] | None) -> pa.Array:
    """Whether each row (B,), one or more, is of another line than the row before it.

    Args:
        scored: Rows with `file` and `line`.
        before: Those of the row before the first; None where there is none.
    """
    others = [pc.not_equal(scored.column(name)[1:], scored.column(name)[:-1]) for name in ("file", "line")]
    first = pa.array([key_of(scored, 0) != before])
    return pa.concat_arrays([first, pc.or_(*others)])


def export_schema(precision: str) -> pa.Schema:
    """The columns of an export."""
    number = pa.float32() if precision == "float32" else pa.float64()
    keys = [("row_id", pa.string()), ("file", pa.string()), ("line", pa.int64())]
    return pa.schema([*keys, ("logit", number), ("probability", number)])


def rounded(values: NDArray[np.float64], precision: str) -> NDArray[np.floating[Any]]:
    """The nearest numbers of a precision; order is kept, though different numbers may become equal.

    >>> rounded(np.array([0.123456789, 1.23456789e-5]), "3").tolist()
    [0.123, 1.23e-05]
    """
    if precision == "float64":
        return values
    if precision == "float32":
        return values.astype(np.float32)
    return np.array([float(f"{value:.{precision}g}") for value in values.tolist()], np.float64)


def _column(scored: pa.RecordBatch, field: pa.Field, precision: str) -> pa.Array:
    column = scored.column(field.name)
    if field.name in KEYS:
        return column.cast(field.type)
    return pa.array(rounded(column.to_numpy(zero_copy_only=False), precision), field.type)


def _writer(output: Path, schema: pa.Schema) -> AbstractContextManager[Callable[[pa.RecordBatch], None]]:
    return csv_writer(output, schema) if output.name.endswith(".csv.gz") else _parquet_writer(output, schema)


@contextmanager
def _parquet_writer(output: Path, schema: pa.Schema) -> Generator[Callable[[pa.RecordBatch], None], None, None]:
    with TableWriter(output, plain=("row_id",), rising=("line",), schema=schema) as writer:
        yield writer.write


@contextmanager
def csv_writer(output: Path, schema: pa.Schema) -> Generator[Callable[[pa.RecordBatch], None], None, None]:
    """Write batches as compressed CSV that neither names a file nor holds a time."""
    import pyarrow.csv as pa_csv

    with (
        naming(output),
        output.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
        pa_csv.CSVWriter(packed, schema) as writer,
    ):
        yield writer.write_batch
