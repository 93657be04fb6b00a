"""Rows with their share and rate, which lie in a file of their own, or in one file, as releases before 0.3 wrote it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from pnn_gluon.warehouse.duckdb_engine import parquet, statement


def read_columns(path: Path, names: list[str] | None = None) -> pa.Table:
    """The columns of a Parquet file, all by default: the file's own, none from the names of its folders."""
    with pq.ParquetFile(path) as file:
        return file.read(names)


@dataclass(frozen=True)
class SampledRows:
    """Rows that belong to a share.

    Attributes:
        rows: The Parquet file of all rows.
        shares: That with `share` and `rate` of each of them; None where the rows have these columns themselves.
    """

    rows: Path
    shares: Path | None = None

    def __str__(self) -> str:
        return str(self.shares or self.rows)

    def relation(self, window: str = "true") -> str:
        """The table, to stand after `from`, with `share`, `rate` and `file_row_number`.

        Args:
            window: Condition on `file_row_number`, which bounds what is joined.
        """
        rows, *shares = (
            f"(select * from {parquet(path, row_numbers=True)} where {window})"
            for path in (self.rows, self.shares)
            if path is not None
        )
        return f"({statement('shared_rows', rows=rows, shares=shares[0])})" if shares else rows

    def read(self) -> pa.Table:
        """All of it in memory."""
        rows = read_columns(self.rows)
        if self.shares is None:
            return rows
        given = read_columns(self.shares)
        for name in given.column_names:
            rows = rows.append_column(given.schema.field(name), given[name])
        return rows.filter(rows["share"].is_valid())


RawRows: TypeAlias = Path | SampledRows | Sequence[Path | SampledRows]
"""Parquet files of raw rows, with their shares or without, one after the other."""
