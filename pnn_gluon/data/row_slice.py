"""The rows of a day that have a value of a field, as a Parquet file of their own."""

from pathlib import Path

import pyarrow.parquet as pq

from pnn_gluon.config import EngineConfig, Fields, MultiField, NumericField
from pnn_gluon.store.parts import Files, listed
from pnn_gluon.store.tables import GROUP_ROWS, TableWriter
from pnn_gluon.warehouse.duckdb_engine import connect, statement


def write_slice(engine: EngineConfig, fields: Fields, rows: Files, field: str, value: str, output: Path) -> int:
    """Write the rows with a value of a field; with no value, those without one.

    Args:
        engine: What reads them.
        fields: The fields of the rows.
        rows: Parquet files of typed rows.
        field: The name of one of the fields, `file`, or `label`; one that the rows do not have is empty in all of them.
        value: As in the raw text; of a field of several values, one of them; of numbers, any way to write the number.
            It reaches SQL as a parameter only.
        output: What to write.

    Returns:
        The number of rows.
    """
    schema, count = pq.read_schema(listed(rows)[0]), 0
    query = _query(fields, rows, field, value, absent=field not in schema.names)
    with (
        connect(engine) as connection,
        TableWriter(output, plain=("row_id",), rising=("line",), schema=schema) as writer,
    ):
        for batch in connection.sql(query, params={"value": value}).to_arrow_reader(GROUP_ROWS):
            writer.write(batch.cast(schema))
            count += batch.num_rows
    return count


def _query(fields: Fields, rows: Files, field: str, value: str, absent: bool) -> str:
    declared = next((each for each in fields if each.name == field), None)
    separator = declared.separator if isinstance(declared, MultiField) else ""
    kind = "multi" if separator else "number" if isinstance(declared, NumericField) or field == "label" else "text"
    told = {"field": field, "kind": kind, "separator": separator}
    return statement("slice", rows=rows, **told, missing=not value, absent=absent)
