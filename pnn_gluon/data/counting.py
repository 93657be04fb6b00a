"""Rows of a day -> impressions and clicks of every value; a window is a sum of days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

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
    """Count the values of some rows, field by field: memory is bounded by the values of the one that has most."""
    impressions = "cast(sum(weight) as bigint)" if part.weighted else "count(*)"
    clicks = ("label * weight" if part.weighted else "label") if part.labelled else "0"
    queries = {
        field.name: statement(
            "count",
            rows=part.rows,
            field=field.name,
            kind=field.kind,
            separator=getattr(field, "separator", ""),
            label=clicks,
            impressions=impressions,
        )
        for field in part.fields
        if field.kind != "numeric"
    }
    with connect(engine) as connection:
        try:
            return _written(connection, queries, part.path)
        except (duckdb.IOException, duckdb.BinderException) as error:
            raise InputError(
                f"{named(part.rows)}: can't be counted: {error}; ingest the day with the present fields again"
            ) from error


def _summed(fields: Fields, engine: EngineConfig, paths: list[Path], path: Path) -> CountReport:
    """The counts of the parts, summed and in order."""
    names = [field.name for field in fields if field.kind != "numeric"]
    with connect(engine) as connection:
        return _written(connection, {name: f"{merge_counts(paths, name)} order by value" for name in names}, path)


def _written(connection: duckdb.DuckDBPyConnection, queries: Mapping[str, str], path: Path) -> CountReport:
    """Write the counts of each field that its query gives, and say how many values it has."""
    values = dict.fromkeys(queries, 0)
    with TableWriter(path, plain=("value",), schema=COUNTS) as writer:
        for name, query in queries.items():
            for batch in connection.sql(query).to_arrow_reader(GROUP_ROWS):
                writer.write(batch.add_column(0, "field", pa.repeat(name, batch.num_rows)).cast(COUNTS))
                values[name] += batch.num_rows
    return CountReport(sum(values.values()), values)


def merge_counts(paths: Sequence[Path], field: str, days: int = 1) -> str:
    """The statement that sums the counts of a field over several days: value, impressions, clicks, in no order.

    Field by field, sums take the memory of one field, and no longer: the name alone is read of the others.

    Raises:
        InputError: no paths.
    """
    if not paths:
        raise InputError("counts: no day to sum; run count for the days of the window first")
    return statement("window_counts", paths=[str(path) for path in paths], field=field, days=days)
