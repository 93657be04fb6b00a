"""Parquet tables written batch by batch, with the same bytes for the same rows."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pnn_gluon.disk_errors import naming
from pnn_gluon.errors import InputError

GROUP_ROWS = 131_072
"""Rows of a row group."""

MERGED_BYTES = 1 << 30
"""Dictionaries of a column that are larger together stay as they are: Arrow's hold 2 GiB, Parquet takes several."""

_PAGE_BYTES = 16 << 20
"""A column whose distinct values take more goes on without a dictionary."""

_CODED = pa.dictionary(pa.int32(), pa.string())


class TableWriter:
    """A Parquet file that grows by record batches; without a schema, the first batch fixes it.

    Rows are regrouped into row groups of `group_rows`, so that the bytes do not depend on how they arrived. Text has a
    dictionary in each group, of its values in the order of their first appearance. A batch may bring such dictionaries,
    in the same order and without values that it does not use; the bytes are those of the texts. There are no statistics
    of columns: nothing looks for rows by them, and they cost as much as a fifth of the writing.

    Args:
        path: The file.
        group_rows: Rows of a row group.
        plain: Columns whose values hardly repeat: written without a dictionary.
        rising: Columns of whole numbers, of which each is a little more than the one before: their differences are
            written.
        schema: Columns and types.
    """

    def __init__(
        self,
        path: Path,
        group_rows: int = GROUP_ROWS,
        plain: tuple[str, ...] = (),
        rising: tuple[str, ...] = (),
        schema: Any = None,
    ) -> None:
        self.path, self.group_rows, self.plain, self.rising = path, group_rows, plain, rising
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
                self._flush()
                if self._writer is None:
                    raise InputError(f"{self.path.name}: no rows to write")
            if self._writer is not None:
                self._writer.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        if self._writer is None:
            self._writer = self._open(batch.schema)
        batch = batch.select(self._writer.schema.names)
        while batch.num_rows >= (room := self.group_rows - self._rows):
            self._append(_cut(batch, 0, room))
            with naming(self.path):
                self._flush()
            batch = _cut(batch, room, batch.num_rows)
        if batch.num_rows:
            self._append(batch)

    def _open(self, schema: Any) -> pq.ParquetWriter:
        rising = [field.name for field in schema if field.name in self.rising and pa.types.is_integer(field.type)]
        apart = {*self.plain, *rising}
        return pq.ParquetWriter(
            self.path,
            pa.schema([self._stored(field) for field in schema]),
            compression="zstd",
            compression_level=1,
            use_dictionary=[name for name in schema.names if name not in apart],
            dictionary_pagesize_limit=_PAGE_BYTES,
            column_encoding=dict.fromkeys(rising, "DELTA_BINARY_PACKED") or None,
            write_statistics=False,
            store_schema=False,  # readers get text
        )

    def _stored(self, field: Any) -> Any:
        return field.with_type(_CODED) if field.type == pa.string() and field.name not in self.plain else field

    def _append(self, batch: Any) -> None:
        self._waiting.append(batch)
        self._rows += batch.num_rows

    def _flush(self) -> None:
        if self._waiting and self._writer is not None:
            schema, columns = self._writer.schema, zip(*(batch.columns for batch in self._waiting), strict=True)
            merged = [_merged(list(chunks), field.type) for chunks, field in zip(columns, schema, strict=True)]
            self._writer.write_table(pa.table(merged, schema), row_group_size=self.group_rows)
        self._waiting, self._rows = [], 0


def _cut(batch: Any, start: int, stop: int) -> Any:
    """Some rows of a batch."""
    if (start, stop) == (0, batch.num_rows):
        return batch
    return compacted(batch.slice(start, stop - start))


def compacted(batch: Any) -> Any:
    """A batch with the values of its dictionaries that it uses, in the order of their first appearance."""
    columns = [_used(column) if pa.types.is_dictionary(column.type) else column for column in batch.columns]
    return pa.record_batch(columns, batch.schema)


def _used(coded: Any) -> Any:
    """The same texts with a dictionary of those alone that appear, in the order of their first appearance."""
    codes = coded.indices.drop_null().to_numpy()
    first = np.full(len(coded.dictionary), len(codes))
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # of several assignments the last one stays
    order = np.argsort(first, kind="stable")[: np.count_nonzero(first < len(codes))]
    place = np.zeros(len(first), np.int32)
    place[order] = np.arange(len(order))
    return pa.DictionaryArray.from_arrays(pa.array(place).take(coded.indices), coded.dictionary.take(pa.array(order)))


def _merged(chunks: list[Any], stored: Any) -> Any:
    """A column in one piece, with one dictionary if it has any."""
    if stored == _CODED:
        chunks = _coded(chunks)
        if sum(chunk.dictionary.nbytes for chunk in chunks) > MERGED_BYTES:
            return pa.chunked_array(chunks)
    return pa.chunked_array(chunks, stored).combine_chunks()


def _coded(chunks: list[Any]) -> list[Any]:
    """Texts, of which some have dictionaries, with dictionaries."""
    if all(chunk.type == pa.string() for chunk in chunks) and sum(chunk.nbytes for chunk in chunks) <= MERGED_BYTES:
        return [pa.concat_arrays(chunks).dictionary_encode()]
    return [chunk.dictionary_encode() if chunk.type == pa.string() else chunk for chunk in chunks]
