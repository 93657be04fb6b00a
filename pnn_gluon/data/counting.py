"""Rows of a day -> impressions and clicks of every value; a window is a sum of days."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pnn_gluon.config import EngineConfig, Fields
from pnn_gluon.errors import InputError
from pnn_gluon.store.parts import Files, listed, named
from pnn_gluon.store.tables import GROUP_ROWS, TableWriter
from pnn_gluon.temporary import temporary_folder
from pnn_gluon.warehouse.duckdb_engine import connect, statement
from pnn_gluon.warehouse.part import FilePart
from pnn_gluon.warehouse.part_engine import map_parts

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


@dataclass(frozen=True)
class CountPart(FilePart):
    """A part of a day's rows, and where its counts go.

    Attributes:
        fields: what is counted.
        rows: the files of the rows.
        labelled: whether the rows have a label.
        weighted: whether the rows have a weight, the number of impressions that each stands for.
    """

    fields: Fields
    rows: Files
    labelled: bool
    weighted: bool = False


def count_values(
    fields: Fields, engine: EngineConfig, rows: Files, path: Path, labelled: bool = True, weighted: bool = False
) -> CountReport:
    """Write field, value, impressions, clicks to a Parquet file, by the order of the fields, then by the values' bytes.

    Categorical and multi-valued fields are counted, the latter's values once for a row; numeric fields and
    missing values are not. Rows without a label have no clicks; those with a weight count as so many. On this machine
    all parts of the rows are counted at once, by all of DuckDB's threads; on Spark each by itself, and the counts are
    summed here: the same bytes.

    Raises:
        InputError: the rows are not there or lack a field.
    """
    parts = listed(rows)
    if engine.kind != "spark" or len(parts) < 2:
        return count_part(engine, CountPart(path, fields, rows, labelled, weighted))
    with temporary_folder(path.parent, "counts-") as folder:
        files = [folder / f"{at}.parquet" for at in range(len(parts))]
        counts = [CountPart(file, fields, part, labelled, weighted) for part, file in zip(parts, files, strict=True)]
        map_parts(engine, count_part, counts)
        return _summed(fields, engine, files, path)


def count_part(engine: EngineConfig, part: CountPart) -> CountReport:
    """Count the values of some rows."""
    counted = [
        {"position": i, "name": field.name, "kind": field.kind, "separator": getattr(field, "separator", "")}
        for i, field in enumerate(part.fields)
        if field.kind != "numeric"
    ]
    names = [str(field["name"]) for field in counted]
    if not counted:
        return _written(iter(()), names, part.path)
    impressions = "cast(sum(weight) as bigint)" if part.weighted else "count(*)"
    clicks = ("label * weight" if part.weighted else "label") if part.labelled else "0"
    query = statement("count", rows=part.rows, fields=counted, label=clicks, impressions=impressions)
    with connect(engine) as connection:
        return _written(_counted(connection, query, part.rows), names, part.path)


def _summed(fields: Fields, engine: EngineConfig, paths: list[Path], path: Path) -> CountReport:
    """The counts of the parts, summed and in order."""
    names = [field.name for field in fields if field.kind != "numeric"]
    query = statement("merged_counts", counts=merge_counts(paths), fields=names)
    with connect(engine) as connection:
        return _written(connection.sql(query).to_arrow_reader(GROUP_ROWS), names, path)


def _written(batches: Iterable[Any], names: Sequence[str], path: Path) -> CountReport:
    """Write counts, and say how many values each field has."""
    values: Counter[str] = Counter(dict.fromkeys(names, 0))
    with TableWriter(path, plain=("value",), schema=COUNTS) as writer:
        for batch in batches:
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


def merge_counts(paths: Sequence[Path], days: int = 1) -> str:
    """The statement that sums the counts of several days: field, value, impressions, clicks, in no order.

    Raises:
        InputError: no paths.
    """
    if not paths:
        raise InputError("counts: no day to sum; run count for the days of the window first")
    return statement("window_counts", paths=[str(path) for path in paths], days=days)
