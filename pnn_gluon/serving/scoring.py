"""The scoring loop: Parquet files of raw rows through a bundle."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pnn_gluon.config import EngineConfig
from pnn_gluon.data.sampled_rows import RawRows
from pnn_gluon.serving.bundle import Bundle, ScoredBatch
from pnn_gluon.store.tables import TableWriter
from pnn_gluon.warehouse.duckdb_engine import connect

KEYS = ("row_id", "file", "line")
"""Columns that name a row, which a score table carries."""


@contextmanager
def score_batches(
    bundle: Bundle, engine: EngineConfig, rows: RawRows, columns: Sequence[str], where: str = "true"
) -> Generator[Generator[ScoredBatch, None, None], None, None]:
    """The rows of files in order, scored some thousands at a time; what reads them ahead ends with the block.

    Args:
        bundle: What scores them.
        engine: What reads them.
        rows: Parquet files with a column for each field of the bundle, perhaps with shares.
        columns: Columns to carry along.
        where: A condition on the rows, as SQL.
    """
    with connect(engine) as connection, closing(bundle.score(connection, rows, columns, where)) as batches:
        yield batches


def write_scores(
    bundle: Bundle,
    engine: EngineConfig,
    rows: RawRows,
    output: Path,
    columns: Sequence[str] = KEYS,
    schema: Any = None,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> int:
    """Score every row of files into a Parquet file: the columns carried along, then logit and probability.

    Args:
        bundle: What scores them.
        engine: What reads them.
        rows: Parquet files with a column for each field of the bundle.
        output: What to write.
        columns: Columns to carry along.
        schema: Arrow schema of the output; by default that of the first batch.
        on_rows: Told the number of rows of every batch.

    Returns:
        The number of rows.
    """
    count = 0
    with (
        score_batches(bundle, engine, rows, columns) as batches,
        TableWriter(output, plain=("row_id",), rising=("line",), schema=schema) as writer,
    ):
        for batch in batches:
            written = batch.arrow()
            writer.write(written)
            count += written.num_rows
            on_rows(written.num_rows)
    return count
