"""Columns of the datasets of a pipeline by its configuration, and which columns of which dataset each comes from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from pnn_gluon.config import Config
from pnn_gluon.data.row_statement import row_schema
from pnn_gluon.tracking.lineage_places import Place, raw_place, table_place

if TYPE_CHECKING:
    from collections.abc import Iterable

Columns: TypeAlias = Mapping[str, str]
"""Types by name, in order."""

How: TypeAlias = Literal["IDENTITY", "TRANSFORMATION", "AGGREGATION"]
"""How a column comes from another, in the words of OpenLineage."""

_KEYS = {"row_id": "string", "file": "string", "line": "int64"}
_SCORED = {"logit": "double", "probability": "double"}


class Origin(NamedTuple):
    """A column that another one comes from."""

    place: Place
    column: str
    how: How


Origins: TypeAlias = Mapping[str, "list[Origin]"]
"""By column of a dataset."""


def columns_of(config: Config, table: str) -> Columns:
    """The columns of the main file of a table; none where they follow from something else than the configuration."""
    schema = row_schema(config.fields, labelled=True, weighted=config.source.weighted)
    rows = {field.name: str(field.type) for field in schema}
    weight = {"weight": "int64"} if config.source.weighted else {}
    return {
        "rows": rows,
        "matured": rows,
        "samples": {**rows, "share": "string", "rate": "double"},
        "counts": {"field": "string", "value": "string", "impressions": "int64", "clicks": "int64"},
        "evaluations": {"row_id": "string", "label": "int8", **_SCORED, **weight},
        "reevaluations": {"row_id": "string", "label": "int8", **_SCORED, **weight},
        "scores": {**_KEYS, **_SCORED},
    }.get(table, {})


def raw_columns(config: Config, kind: str) -> Columns:
    """The columns of raw logs or requests as they are named; none where their own first line names them."""
    return dict.fromkeys(config.source.columns, "string") if kind in {"logs", "requests"} else {}


def origins_of(config: Config, table: str) -> Origins:
    """Where the columns of a table come from, as far as the fields of the configuration say."""
    if table == "rows":
        return _of_rows(config, raw_place(config, "logs"))
    if table == "scores" and config.source.requests is not None:
        return _of_scores(config, raw_place(config, "requests"))
    rows = table_place(config, "rows")
    if table == "evaluations":
        scored = [Origin(rows, field.name, "TRANSFORMATION") for field in config.fields]
        return {**_same(rows, ("row_id", "label")), **dict.fromkeys(_SCORED, scored)}
    if table == "counts":
        values = [Origin(rows, field.name, "TRANSFORMATION") for field in config.fields]
        counted = [each._replace(how="AGGREGATION") for each in values]
        return {"value": values, "impressions": counted, "clicks": [*counted, Origin(rows, "label", "AGGREGATION")]}
    return _same(rows, columns_of(config, "rows")) if table == "samples" else {}


def _same(place: Place, columns: "Iterable[str]") -> Origins:
    return {name: [Origin(place, name, "IDENTITY")] for name in columns}


def _of_rows(config: Config, raw: Place) -> Origins:
    source = config.source
    found: dict[str, list[Origin]] = {}
    for field in config.fields:
        how: How = "TRANSFORMATION" if field.kind == "numeric" else "IDENTITY"
        found[field.name] = _of_column(config, raw, field.column, how)
    if told := [Origin(raw, column, "TRANSFORMATION") for column in source.label_columns]:
        found["label"] = told
    if source.weighted:
        found["weight"] = told
    if source.id_column is not None:
        found["row_id"] = [Origin(raw, source.id_column, "TRANSFORMATION")]
    return found


def _of_scores(config: Config, raw: Place) -> Origins:
    scored = [each for field in config.fields for each in _of_column(config, raw, field.column, "TRANSFORMATION")]
    found = dict.fromkeys(_SCORED, scored)
    if config.source.id_column is not None:
        found["row_id"] = [Origin(raw, config.source.id_column, "TRANSFORMATION")]
    return found


def _of_column(config: Config, raw: Place, column: str, how: How) -> list[Origin]:
    """A column of raw files; the hour and the weekday are derived from that of the time."""
    time = config.source.time_columns
    if time and column in {"hour_of_day", "weekday"}:
        return [Origin(raw, each, "TRANSFORMATION") for each in time]
    return [Origin(raw, column, how)]
