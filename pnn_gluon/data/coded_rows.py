"""Rows of shares as their file has them: texts as places in dictionaries, row group by row group."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pnn_gluon.data.feature_map import MapField
from pnn_gluon.data.sampled_rows import SampledRows
from pnn_gluon.errors import InputError

FAULTS = (pa.ArrowException, OSError, KeyError)
"""What is raised for a file that is absent or damaged, and for columns that are not there."""


def coded_rows(
    sample: SampledRows, fields: Sequence[MapField], columns: Sequence[str], shares: Sequence[str]
) -> Iterator[Any]:
    """Record batches of the rows of some shares, in their order: the fields, the columns, and last the share.

    Texts come as Arrow dictionaries, in which a value stands once for all rows of a row group; so does Parquet have
    them, and nothing more is made of rows that belong to none of the shares. One row group is in memory.

    Args:
        sample: The rows and their shares.
        fields: What is read of the rows, in this order.
        columns: What is carried along.
        shares: Those whose rows are read.

    A weight that the shares have is carried in place of that of the rows, which is from before they were sampled.

    Raises:
        InputError: the file of the shares has another number of rows.
        FAULTS: a file is missing or damaged, or a column is not there.
    """
    names = [*(field.name for field in fields), *columns]
    texts = [field.name for field in fields if field.kind != "numeric"]
    empty = sample.lacks([field.name for field in fields])
    read = [name for name in names if name not in empty] + ([] if sample.shares else ["share"])
    with pq.ParquetFile(sample.rows, read_dictionary=[name for name in texts if name not in empty]) as file:
        if absent := set(read) - set(file.schema_arrow.names):
            raise KeyError(f"no column {', '.join(sorted(absent))}")
        sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        carried = ["weight"] if "weight" in columns and sample.weighted else []
        apart = None if sample.shares is None else _shares(sample.shares, sizes, ["share", *carried])
        for number in range(file.num_row_groups):
            rows = file.read_row_group(number, read, use_threads=False)
            for name in empty:
                rows = rows.append_column(name, pa.nulls(sizes[number], pa.string()))
            given = rows if apart is None else next(apart)
            share = given["share"]
            for name in carried:
                rows = rows.set_column(rows.column_names.index(name), name, given[name])
            chosen = pc.is_in(share, value_set=pa.array(shares, pa.string()))
            table = pa.Table.from_arrays([*(rows[name] for name in names), share], [*names, "its share"])
            yield from table.filter(chosen).combine_chunks().to_batches()


def _shares(path: Path, sizes: Iterable[int], names: list[str]) -> Iterator[Any]:
    """Tables of the shares, and what is told beside them, of so many rows at a time."""
    with pq.ParquetFile(path) as file:
        batches = file.iter_batches(columns=names, use_threads=False)
        waiting = pa.schema([file.schema_arrow.field(name) for name in names]).empty_table()
        for size in sizes:
            while len(waiting) < size and (batch := next(batches, None)) is not None:
                waiting = pa.concat_tables([waiting, pa.table(batch)])
            if len(waiting) < size:
                raise InputError(f"{path}: has {file.metadata.num_rows:,} rows, fewer than the rows they belong to")
            yield waiting.slice(0, size)
            waiting = waiting.slice(size)
