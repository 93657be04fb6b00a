"""Parquet tables written batch by batch, with the same bytes for the same rows."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from pnn_gluon.disk_errors import naming
from pnn_gluon.errors import InputError

GROUP_ROWS = 131_072
"""Rows of a row group."""


class TableWriter:
    """A Parquet file that grows by record batches; without a schema, the first batch fixes it.

    Rows are regrouped into row groups of `group_rows`, so that the bytes do not depend on how they arrived.
    Columns named in `plain`, whose values hardly repeat, are written without a dictionary.
    """

    def __init__(
        self, path: Path, group_rows: int = GROUP_ROWS, plain: tuple[str, ...] = (), schema: Any = None
    ) -> None:
        self.path, self.group_rows, self.plain = path, group_rows, plain
        self._writer: pq.ParquetWriter | None = None if schema is None else self._open(schema)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with naming(self.path):
            if kind is None:
                self._flush(everything=True)
                if self._writer is None:
                    raise InputError(f"{self.path.name}: no rows to write")
            if self._writer is not None:
                self._writer.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        if self._writer is None:
            self._writer = self._open(batch.schema)
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows >= self.group_rows:
            with naming(self.path):
                self._flush(everything=False)

    def _open(self, schema: Any) -> pq.ParquetWriter:
        coded = [name for name in schema.names if name not in self.plain]
        return pq.ParquetWriter(self.path, schema, compression="zstd", use_dictionary=coded)

    def _flush(self, everything: bool) -> None:
        if self._writer is None:
            return
        table = pa.Table.from_batches(self._waiting, self._writer.schema)
        whole = table.num_rows if everything else table.num_rows // self.group_rows * self.group_rows
        for start in range(0, whole, self.group_rows):
            group = table.slice(start, min(self.group_rows, whole - start)).combine_chunks()
            self._writer.write_table(group, row_group_size=self.group_rows)
        self._waiting = table.slice(whole).to_batches()
        self._rows = table.num_rows - whole
