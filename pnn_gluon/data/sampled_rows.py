"""Rows with their share and rate, which lie in a file of their own, or in one file, as releases before 0.3 wrote it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from pnn_gluon.store.parts import Files, listed
from pnn_gluon.warehouse.duckdb_engine import identifier, parquet, statement


def read_columns(path: Path, names: list[str] | None = None) -> pa.Table:
    """The columns of a Parquet file, all by default: the file's own, none from the names of its folders."""
    with pq.ParquetFile(path) as file:
        return file.read(names)


@dataclass(frozen=True)
class SampledRows:
    """Rows that belong to a share.

    Attributes:
        rows: The Parquet file of all rows.
        shares: That with `share` and `rate` of each of them, and of weighted rows the `weight` that they have in the
            sample; None where the rows have these columns themselves.
        gaps: Whether a field that the rows do not have is empty in all of them: they may be of a day on which the
            pipeline had other fields. Else, and for columns that are no fields, it is an error.
    """

    rows: Path
    shares: Path | None = None
    gaps: bool = False

    def __str__(self) -> str:
        return str(self.shares or self.rows)

    def lacks(self, names: Sequence[str]) -> list[str]:
        """The fields among these that are to be read as empty."""
        if not self.gaps:
            return []
        with pq.ParquetFile(self.rows) as file:
            there = set(file.schema_arrow.names)
        return [name for name in names if name not in there]

    def relation(self, window: str = "true", empty: Sequence[str] = ()) -> str:
        """The table, to stand after `from`, with `share`, `rate` and `file_row_number`.

        Args:
            window: Condition on `file_row_number`, which bounds what is joined.
            empty: Columns that are added, empty.
        """
        added = "".join(f", cast(null as varchar) as {identifier(name)}" for name in empty)
        return f"(select *{added} from {self._relation(window)})" if empty else self._relation(window)

    def _relation(self, window: str) -> str:
        rows, *shares = (
            f"(select * from {parquet(path, row_numbers=True)} where {window})"
            for path in (self.rows, self.shares)
            if path is not None
        )
        if not shares:
            return rows
        return f"({statement('shared_rows', rows=rows, shares=shares[0], weighted=self.weighted)})"

    @property
    def weighted(self) -> bool:
        """Whether a row may stand for many impressions."""
        return self.shares is not None and "weight" in pq.read_schema(self.shares).names

    def read(self) -> pa.Table:
        """All of it in memory."""
        rows = read_columns(self.rows)
        if self.shares is None:
            return rows
        given = read_columns(self.shares)
        for name in given.column_names:
            if name in rows.column_names:
                rows = rows.set_column(rows.column_names.index(name), name, given[name])
            else:
                rows = rows.append_column(given.schema.field(name), given[name])
        return rows.filter(rows["share"].is_valid())


RawRows: TypeAlias = Path | SampledRows | Sequence[Path | SampledRows]
"""Parquet files of raw rows, with their shares or without, one after the other."""


def with_gaps(rows: Files) -> list[SampledRows]:
    """Rows of a day of a pipeline, in which a field that the day did not have is empty."""
    return [SampledRows(path, gaps=True) for path in listed(rows)]
