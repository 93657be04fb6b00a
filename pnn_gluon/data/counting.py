"""Rows of a day -> impressions and clicks of every value; a window is a sum of days."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pnn_gluon.config import EngineConfig, Fields
from pnn_gluon.errors import InputError
from pnn_gluon.store.parts import Files, named
from pnn_gluon.store.tables import GROUP_ROWS, TableWriter
from pnn_gluon.warehouse.duckdb_engine import connect, statement

COUNTS = pa.schema(
    [("field", pa.string()), ("value", pa.string()), ("impressions", pa.int64()), ("clicks", pa.int64())]
)


@dataclass(frozen=True)
class CountReport:
    """What was counted.

    Attributes:
        values: pairs of a field and a value.
        fields: how many values each field has.
    """

    values: int
    fields: dict[str, int]


def count_values(fields: Fields, engine: EngineConfig, rows: Files, path: Path, labelled: bool = True) -> CountReport:
    """Write field, value, impressions, clicks to a Parquet file, by the order of the fields, then by the values' bytes.

    Categorical and multi-valued fields are counted, the latter's values once for a row; numeric fields and
    missing values are not. Rows without a label have no clicks.

    Raises:
        InputError: the rows are not there or lack a field.
    """
    counted = [
        {"position": i, "name": field.name, "kind": field.kind, "separator": getattr(field, "separator", "")}
        for i, field in enumerate(fields)
        if field.kind != "numeric"
    ]
    values: Counter[str] = Counter({str(field["name"]): 0 for field in counted})
    with connect(engine) as connection, TableWriter(path, plain=("value",), schema=COUNTS) as writer:
        if counted:
            query = statement("count", rows=rows, fields=counted, label="label" if labelled else "0")
            for batch in _counted(connection, query, rows):
                writer.write(batch.cast(COUNTS))
                for pair in pc.value_counts(batch.column("field")).to_pylist():
                    values[pair["values"]] += pair["counts"]
    return CountReport(sum(values.values()), dict(values))


def _counted(connection: duckdb.DuckDBPyConnection, query: str, rows: Files) -> Any:
    try:
        return connection.sql(query).to_arrow_reader(GROUP_ROWS)
    except (duckdb.IOException, duckdb.BinderException) as error:
        raise InputError(
            f"{named(rows)}: can't be counted: {error}; ingest the day with the present fields again"
        ) from error


def merge_counts(paths: Sequence[Path]) -> str:
    """The statement that sums the counts of several days: field, value, impressions, clicks, in no order.

    Raises:
        InputError: no paths.
    """
    if not paths:
        raise InputError("counts: no day to sum; run count for the days of the window first")
    return statement("window_counts", paths=[str(path) for path in paths])
