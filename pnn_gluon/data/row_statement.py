"""The SQL that turns a block of lines into typed rows, written from the configuration and a file's columns."""

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

import pyarrow as pa

from pnn_gluon.column_names import json_path
from pnn_gluon.config import NAMED_TIMES, AnyField, Fields, SourceConfig, WeightsConfig, label_key, names_day
from pnn_gluon.data.log_files import Log, RecordLog, Wanted
from pnn_gluon.data.parquet_text import TIME_FORMAT, holds_separator
from pnn_gluon.data.path_columns import path_value, tells
from pnn_gluon.time_zones import UTC
from pnn_gluon.warehouse.duckdb_engine import literal, statement

DERIVED = {"hour_of_day": "hour_text", "weekday": "weekday_text"}
"""Columns made from the time of a row, and how; a column of the source with such a name is read instead."""

MOST_IMPRESSIONS = 2**32 - 1
"""Most impressions of a line: shards have weights of 32 bits."""


@dataclass(frozen=True)
class Stream:
    """One kind of raw lines and where its files lie; `hours` are those within which clicks count, if they say when."""

    kind: Literal["logs", "clicks", "requests"]
    patterns: tuple[str, ...]
    hours: float | None = None

    @property
    def archive(self) -> bool:
        """Whether the files hold many days, so that lines of other days are no faults."""
        return not names_day(self.patterns[0])


def has_label(source: SourceConfig, stream: Stream) -> bool:
    """Whether the lines themselves say the label."""
    return stream.kind == "logs" and source.clicks is None


def wanted_columns(source: SourceConfig, fields: Fields, stream: Stream) -> Wanted:
    """The columns that a stream's files must have, and those that they may have."""
    labelled, read, stored = has_label(source, stream), _fields(fields, stream), source.stored
    columns = tuple(stored(name) for name in source.columns)
    own = [name for name in (source.id_column, *source.time_columns) if name]
    labels = {stored(column) for column in source.label_columns}
    used = {stored(field.column) for field in read} - _derived(source) | {stored(name) for name in own}
    if labelled:
        used |= labels
    lacks_label = stream.kind == "requests" and source.clicks is None
    optional = set(labels) if lacks_label else set[str]()
    if stream.kind == "requests":
        optional |= set(columns) - used
    if not needs_time(source, fields, stream):
        optional |= {stored(name) for name in source.time_columns} - {stored(source.id_column or "")}
    declared = () if source.typed else tuple(name for name in columns if not lacks_label or name not in labels)
    optional |= {stored(name) for name in source.optional_columns}
    names = {field.name: tuple(map(stored, (field.column, *field.alternatives))) for field in fields}
    if source.kind == "json":
        used |= {name for field in read for name in names[field.name]} - _derived(source)
    separators = {name: field.separator for field in fields if field.kind == "multi" for name in names[field.name]}
    numbers = {stored(field.column) for field in read if field.kind == "numeric"} | labels
    named = {stored(field.column) for field in read if field.kind != "numeric"} | {stored(source.id_column or "")}
    path = {stored(name) for name in source.path_columns}
    return Wanted(
        used=tuple(sorted(used - path)),
        declared=declared,
        optional=frozenset(optional),
        separators=separators,
        numbers=frozenset(numbers - named),
        alternatives={names[field.name][0]: names[field.name][1:] for field in read if field.alternatives},
        path=tuple(sorted(used & path)),
    )


def needs_time(source: SourceConfig, fields: Fields, stream: Stream) -> bool:
    """Whether lines without a time are no rows.

    Clicks need it only to be told from other days, or for the hours from their impression; requests only for the
    former, or for a field.
    """
    columns = {source.stored(field.column) for field in fields}
    own = {source.stored(name) for name in source.time_columns}
    read = bool(columns & (own | _derived(source)))
    return stream.archive or {"logs": True, "clicks": stream.hours is not None, "requests": read}[stream.kind]


def _derived(source: SourceConfig) -> set[str]:
    """Columns that are made from the time of a row."""
    listed = {source.stored(name) for name in (*source.columns, *source.path_columns)}
    return set(DERIVED) - listed if source.time_columns else set()


def rows_statement(source: SourceConfig, fields: Fields, stream: Stream, log: Log, day: datetime.date) -> str:
    """The statement over the table `lines`, a block of the log's lines."""
    return statement("ingest_rows", **row_rules(source, fields, stream, log, day))


def row_rules(source: SourceConfig, fields: Fields, stream: Stream, log: Log, day: datetime.date) -> dict[str, Any]:
    """What becomes of the log's lines, as the statements have it."""
    wanted = wanted_columns(source, fields, stream)
    places = _places_in(log, wanted)
    prefix = "click line: " if stream.kind == "clicks" else ""
    columns = [_column(name, place, wanted, prefix) for name, place in places.items()]
    by_path = [name for name in wanted.path if name not in wanted.optional or tells(log.raw, name)]
    told = {place: path_value(log.raw, name) for place, name in enumerate(by_path, len(log.columns) + 1)}
    places |= dict(zip(by_path, told, strict=True))
    read = [(field, _places(source, field, places)) for field in _fields(fields, stream)]
    numbers = {place: field.column for field, found in read if field.kind == "numeric" for place in found}
    return {
        "form": log.form,
        "quote": log.records if isinstance(log, RecordLog) else source.quote,
        "delimiter": source.delimiter,
        "columns": columns,
        "told": {place: None if value in source.missing else value for place, value in told.items()},
        "width": len(log.columns),
        "least_width": len(log.columns) - _last_optional(source, log),
        "missing": source.missing,
        "prefix": prefix,
        "numbers": [{"position": p, "reason": f"{prefix}{name}: not a number"} for p, name in numbers.items()],
        "time": _time(source, log, places, prefix),
        "timeless": log.form == "json" and not needs_time(source, fields, stream),
        "id": _id(source, places, prefix),
        "id_prefix": _id_prefix(source, stream, log),
        "label": _label(source, places) if has_label(source, stream) and source.weights is None else None,
        "weights": _weights(source.weights, source, places) if source.weights and has_label(source, stream) else None,
        "clicked": stream.kind == "logs" and source.clicks is not None,
        "within": attribution(source) if stream.kind == "logs" else None,
        "clicks": stream.kind == "clicks",
        "other_days": _other_days(stream),
        "day": day.isoformat(),
        "fields": [_field(source, field, found) for field, found in read],
    }


def _places_in(log: Log, wanted: Wanted) -> dict[str, int]:
    """Where the columns are that a file has itself, from 1."""
    there = {name: wanted.named(name, log.columns) for name in wanted.used}
    return {name: log.columns.index(found) + 1 for name, found in there.items() if found is not None}


def _field(source: SourceConfig, field: AnyField, places: Sequence[int]) -> dict[str, Any]:
    return {
        "name": field.name,
        "expression": _expression(source, field, places),
        "position": places[0] if places else None,
        "numeric": field.kind == "numeric",
    }


def attribution(source: SourceConfig) -> int | None:
    """For how long after an impression its clicks count, in microseconds; None for ever."""
    return None if source.attribution_hours is None else round(source.attribution_hours * 3600e6)


def row_schema(fields: Fields, labelled: bool, weighted: bool = False) -> Any:
    """Columns and types of rows.parquet; those of requests are never weighted."""
    label = [("label", pa.int8())] if labelled else []
    label += [("weight", pa.int64())] if labelled and weighted else []
    read = [(field.name, pa.float64() if field.kind == "numeric" else pa.string()) for field in fields]
    return pa.schema([("row_id", pa.string()), ("file", pa.string()), ("line", pa.int64()), *label, *read])


def _other_days(stream: Stream) -> str:
    """What to do with lines of other days; a click may come the day after its impression."""
    if stream.kind == "clicks":
        return "keep"
    return "leave out" if stream.archive else "reject"


def _fields(fields: Fields, stream: Stream) -> Fields:
    return () if stream.kind == "clicks" else fields


def _column(name: str, place: int, wanted: Wanted, prefix: str) -> dict[str, Any]:
    """A column by its place, with what only lines of JSON need: its path, and how and why its values are no texts."""
    separator = wanted.separators.get(name)
    expected = "a single value" if separator is None else "a single value or a list of them"
    return {
        "position": place,
        "path": json_path(name),
        "separator": separator,
        "shape": f"{prefix}{name}: not {expected}",
        "holds": f"{prefix}{name}: {holds_separator(separator)}" if separator else "",
    }


def _places(source: SourceConfig, field: AnyField, places: Mapping[str, int]) -> list[int]:
    """Where the values of a field may be, the first one first; in a file that names its columns it has one name."""
    names = (field.column, *field.alternatives) if source.kind == "json" else (field.column,)
    return [places[name] for name in map(source.stored, names) if name in places]


def _last_optional(source: SourceConfig, log: Log) -> int:
    """How many columns the lines of a file may lack at their end."""
    optional = {source.stored(name) for name in source.optional_columns}
    return sum(1 for _ in takewhile(lambda name: name in optional, reversed(log.columns)))


def _expression(source: SourceConfig, field: AnyField, places: Sequence[int]) -> str:
    if not places and source.stored(field.column) not in _derived(source):
        return f"cast(null as {'double' if field.kind == 'numeric' else 'varchar'})"
    if not places:
        derived = f"{DERIVED[source.stored(field.column)]}({_clock(source)})"
        return f"try_number({derived})" if field.kind == "numeric" else derived
    read = [f"number_{place}" if field.kind == "numeric" else f"raw_{place}" for place in places]
    return read[0] if len(read) == 1 else f"coalesce({', '.join(read)})"


def _clock(source: SourceConfig) -> str:
    """What the clocks of the source's zone show at the moment of a row."""
    return "moment" if source.time_zone == UTC else "clock_at(moment)"


def _time(source: SourceConfig, log: Log, places: dict[str, int], prefix: str) -> dict[str, Any] | None:
    found = [places[name] for name in map(source.stored, source.time_columns) if name in places]
    if not found or len(found) < len(source.time_columns):
        return None
    text = " || ' ' || ".join(f"raw_{place}" for place in found)
    typed = set(log.columns[found[0] - 1 : found[0]]) & log.times if len(found) == 1 else frozenset[str]()
    forms = (TIME_FORMAT,) if typed else source.time_forms
    local = source.time_zone != UTC and not typed & log.moments
    read = [(_time_call(form, text), _tells_offset(form, text)) for form in forms]
    said = " or ".join(NAMED_TIMES.get(form, f"a time of the form {form}") for form in forms)
    name = " and ".join(source.time_columns)
    return {
        "positions": found,
        "text": f"({text})",
        "clock": _clock(source),
        "moments": [f"if({exact}, {call}, utc_of({call}))" if local else call for call, exact in read],
        "skipped": [f"(not {exact} and is_skipped({call}))" for call, exact in read] if local else [],
        "reason": f"{prefix}{name}: not {said}",
        "skipped_reason": f"{prefix}{name}: skipped by the clocks of {source.time_zone}",
        "other_day": f"{prefix}{name}: another day",
    }


def _time_call(form: str, text: str) -> str:
    return f"try_{form}({text})" if form in NAMED_TIMES else f"try_time({text}, {literal(form)})"


def _tells_offset(form: str, text: str) -> str:
    """Whether a time in a form says how far from UTC it is, as SQL."""
    if form == "iso8601":
        return f"tells_offset({text})"
    return "true" if form in NAMED_TIMES or "%z" in form or "%Z" in form else "false"


def _id(source: SourceConfig, places: dict[str, int], prefix: str) -> dict[str, Any] | None:
    column = source.id_column
    return {"position": places[source.stored(column)], "reason": f"{prefix}{column}: no id"} if column else None


def _id_prefix(source: SourceConfig, stream: Stream, log: Log) -> str:
    """What a row id is the md5 of, before the id or the line number."""
    origin = source.preset or source.kind
    return f"{origin}|" if source.id_column else f"{origin}|{stream.kind}|{log.raw.plain_name}:"


def _weights(weights: WeightsConfig, source: SourceConfig, places: dict[str, int]) -> dict[str, Any]:
    """Where the counts of a line stand, and what is said of bad ones."""
    return {
        "impressions": places[source.stored(weights.impressions)],
        "clicks": places[source.stored(weights.clicks)],
        "most": MOST_IMPRESSIONS,
        "reason": f"{weights.impressions}: expected a whole number from 1 to {MOST_IMPRESSIONS}",
        "clicks_reason": f"{weights.clicks}: expected a whole number from 0 to {weights.impressions}",
    }


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
        "position": places[source.stored(rule.column)],
        "reason": f"{rule.column}: expected {expected}",
    }
