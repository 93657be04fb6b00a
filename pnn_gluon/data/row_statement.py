"""The SQL that turns a block of lines into typed rows, written from the configuration and a file's columns."""

import datetime
import math
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from pnn_gluon.config import DAY_PATTERN, AnyField, Fields, SourceConfig, label_key
from pnn_gluon.data.log_files import Log, Wanted
from pnn_gluon.data.parquet_text import TIME_FORMAT
from pnn_gluon.warehouse.duckdb_engine import literal, statement

DERIVED = {"hour_of_day": "hour_text(moment)", "weekday": "weekday_text(moment)"}
"""Columns made from the time of a row, and how; a column of the source with such a name is read instead."""


@dataclass(frozen=True)
class Stream:
    """One kind of raw lines and where its files lie."""

    kind: Literal["logs", "clicks", "requests"]
    pattern: str

    @property
    def archive(self) -> bool:
        """Whether the files hold many days, so that lines of other days are no faults."""
        return not DAY_PATTERN.search(self.pattern)


def has_label(source: SourceConfig, stream: Stream) -> bool:
    """Whether the lines themselves say the label."""
    return stream.kind == "logs" and source.kind != "ipinyou_raw"


def wanted_columns(source: SourceConfig, fields: Fields, stream: Stream) -> Wanted:
    """The columns that a stream's files must have."""
    labelled, read = has_label(source, stream), _fields(fields, stream)
    derived = set(DERIVED) - set(source.columns) if source.time_column else set()
    used = {field.column for field in read} - derived | {source.id_column, source.time_column} - {None}
    if labelled:
        used.add(source.label.column)
    optional = None if labelled else source.label.column
    declared = () if source.kind == "parquet" else tuple(name for name in source.columns if name != optional)
    separators = {field.column: field.separator for field in fields if field.kind == "multi"}
    numbers = {field.column for field in read if field.kind == "numeric"} | {source.label.column}
    named = {field.column for field in read if field.kind != "numeric"} | {source.id_column}
    return Wanted(tuple(sorted(filter(None, used))), declared, optional, separators, frozenset(numbers - named))


def rows_statement(source: SourceConfig, fields: Fields, stream: Stream, log: Log, day: datetime.date) -> str:
    """The statement over the table `lines`, a block of the log's lines."""
    wanted = wanted_columns(source, fields, stream)
    places = {name: log.columns.index(name) + 1 for name in wanted.used if name in log.columns}
    read = [(field, places.get(field.column)) for field in _fields(fields, stream)]
    numbers = {place: field.column for field, place in read if field.kind == "numeric" and place}
    prefix = "click line: " if stream.kind == "clicks" else ""
    return statement(
        "ingest_rows",
        named=log.named,
        quote=source.quote,
        delimiter=source.delimiter,
        columns=[{"name": name, "position": place} for name, place in places.items()],
        width=len(log.columns),
        missing=source.missing,
        prefix=prefix,
        numbers=[{"position": p, "reason": f"{prefix}{name}: not a number"} for p, name in numbers.items()],
        time=_time(source, log, places, prefix),
        id=_id(source, places, prefix),
        id_prefix=_id_prefix(source, stream, log),
        label=_label(source, places) if has_label(source, stream) else None,
        clicked=source.kind == "ipinyou_raw" and stream.kind == "logs",
        clicks=stream.kind == "clicks",
        other_days=_other_days(stream),
        day=day.isoformat(),
        fields=[{"name": field.name, "expression": _expression(field, place)} for field, place in read],
    )


def row_schema(fields: Fields, labelled: bool) -> Any:
    """Columns and types of rows.parquet."""
    label = [("label", pa.int8())] if labelled else []
    read = [(field.name, pa.float64() if field.kind == "numeric" else pa.string()) for field in fields]
    return pa.schema([("row_id", pa.string()), ("file", pa.string()), ("line", pa.int64()), *label, *read])


def _other_days(stream: Stream) -> str:
    """What to do with lines of other days; a click may come the day after its impression."""
    if stream.kind == "clicks":
        return "keep"
    return "leave out" if stream.archive else "reject"


def _fields(fields: Fields, stream: Stream) -> Fields:
    return () if stream.kind == "clicks" else fields


def _expression(field: AnyField, place: int | None) -> str:
    if place is None:
        return f"try_number({DERIVED[field.column]})" if field.kind == "numeric" else DERIVED[field.column]
    return f"number_{place}" if field.kind == "numeric" else f"raw_{place}"


def _time(source: SourceConfig, log: Log, places: dict[str, int], prefix: str) -> dict[str, Any] | None:
    column, form = source.time_column, source.time_format
    if column is None:
        return None
    form = TIME_FORMAT if column in log.times else form
    said = "seconds since 1970" if form == "epoch" else f"a time of the form {form}"
    reasons = {"reason": f"{prefix}{column}: not {said}", "other_day": f"{prefix}{column}: another day"}
    return {"position": places[column], "form": form, **reasons}


def _id(source: SourceConfig, places: dict[str, int], prefix: str) -> dict[str, Any] | None:
    column = source.id_column
    return {"position": places[column], "reason": f"{prefix}{column}: no id"} if column else None


def _id_prefix(source: SourceConfig, stream: Stream, log: Log) -> str:
    """What a row id is the md5 of, before the id or the line number."""
    origin = source.preset or source.kind
    return f"{origin}|" if source.id_column else f"{origin}|{stream.kind}|{log.raw.plain_name}:"


def _numbers(texts: tuple[str, ...]) -> list[str]:
    """Those of a label's texts that are numbers, as SQL."""
    keys = (label_key(text) for text in texts)
    return [f"cast({literal(repr(key))} as double)" for key in keys if isinstance(key, float) and math.isfinite(key)]


def _label(source: SourceConfig, places: dict[str, int]) -> dict[str, Any]:
    rule = source.label
    expected = "a number" if rule.at_least is not None else " or ".join((*rule.positive, *rule.negative))
    numbers = [(value, _numbers(texts)) for value, texts in ((1, rule.positive), (0, rule.negative))]
    return {
        **rule.model_dump(),
        "numbers": numbers,
        "position": places[rule.column],
        "reason": f"{rule.column}: expected {expected}",
    }
