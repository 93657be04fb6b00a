"""What a person asks to have exported: checked word by word, and the step that makes it."""

import dataclasses
import datetime
import math
import re
from typing import Self

from pnn_gluon.config import NUMBER, Config
from pnn_gluon.days import parse_day, parse_days
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.inputs import ChosenBundle, Input, Need, Requests, Saved
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.steps import CHAMPION_BEFORE, EXPORT
from pnn_gluon.pipeline.tables import ROWS, exports

CHAMPION = "champion"
"""Asks for the model that was in force on each day."""

KINDS = ("requests", "logs")
"""What may be scored; the first is the default, here and below."""

FORMATS = ("parquet", "csv.gz", "table")

PRECISIONS = ("float64", "float32", "9", "8", "7", "6", "5", "4", "3")
"""Of logit and probability: doubles as the model says them, floats, or so many significant decimal digits."""

MOST_DAYS = 366
"""Days of one export."""

NAME = r"[a-z][a-z0-9_]{0,30}"

CONTROL = r"[\x00-\x1f\x7f]"

LONGEST_TABLE = 41
"""Characters of a table's name; the days' partitions have longer ones."""

_TABLE_OPTIONS = ("publish.server", "publish.table", "publish.folder", "publish.port")


@dataclasses.dataclass(frozen=True)
class Slice:
    """The rows with a value of a field; with no value, those without one. Of several values in a row one is enough."""

    field: str
    value: str

    def __str__(self) -> str:
        return f"{self.field} = {self.value}"


@dataclasses.dataclass(frozen=True)
class Export:
    """What is asked for.

    Attributes:
        name: The table is exports_<name>.
        model: The day of the model; None for the one in force on each day.
        rows: What is scored: `requests` or `logs`.
        format: `parquet`, `csv.gz`, or `table` for one on the score server besides.
        precision: One of `PRECISIONS`.
        slice: Which rows; None for all.

    Raises:
        ConfigError: for a name that cannot be a table's, or a word that is none of those.
    """

    name: str
    model: datetime.date | None = None
    rows: str = KINDS[0]
    format: str = FORMATS[0]
    precision: str = PRECISIONS[0]
    slice: Slice | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name):
            raise ConfigError(
                f"export name {self.name!r}: expected a lower-case letter, then letters, digits or _, at most 31"
            )
        for what, given, known in (
            ("rows", self.rows, KINDS),
            ("format", self.format, FORMATS),
            ("precision", self.precision, PRECISIONS),
        ):
            if given not in known:
                raise ConfigError(f"{what} {given!r}: expected one of {', '.join(known)}")

    @classmethod
    def asked(
        cls, config: Config, name: str, model: str, rows: str, format: str, precision: str, slice_text: str
    ) -> Self:
        """What a form or a command asks for, in its words.

        Raises:
            ConfigError: for anything that cannot be exported, whatever days are asked for.
        """
        export = cls(name, _model_day(model), rows, format, precision, _slice(slice_text, config, rows))
        if format == "table":
            _refuse_long(export.table_name(config))
        return export

    def table_name(self, config: Config) -> str:
        """The table on the score server: beside the pipeline's score table."""
        return f"{config.publish.table}_{self.name}"

    @property
    def given(self) -> dict[str, str]:
        """What differs from the defaults, by name: a day made with other choices is made again."""
        text = "" if self.slice is None else str(self.slice)
        values = {"slice": (text, ""), "format": (self.format, FORMATS[0]), "precision": (self.precision, "float64")}
        return {f"export.{name}": value for name, (value, default) in values.items() if value != default}


def export_step(export: Export) -> Step:
    """The step that makes one day of an export."""
    model: Input[object] = CHAMPION_BEFORE if export.model is None else ChosenBundle(export.model)
    scored: Input[object] = Need(ROWS) if export.rows == "logs" else Requests()
    table, in_table = exports(export.name), export.format == "table"
    return dataclasses.replace(
        EXPORT,
        table=table,
        inputs=(model, scored, Saved(table)),
        options=EXPORT.options + (_TABLE_OPTIONS if in_table else ()),
        given=tuple(export.given.items()),
    )


def export_days(config: Config, text: str) -> list[datetime.date]:
    """The days first..last of an export.

    Raises:
        ConfigError: they are no days of the pipeline, in the wrong order, or too many.
    """
    days = parse_days(text)
    if days[0] < config.first_day:
        raise ConfigError(
            f"days {text!r}: {days[0]} is before the pipeline's first day {config.first_day} (first_day in "
            f"{config.path}); begin there or later"
        )
    if len(days) > MOST_DAYS:
        raise ConfigError(f"days {text!r}: {len(days):,} days, expected at most {MOST_DAYS}; export them in parts")
    return days


def sliceable(config: Config, rows: str) -> list[str]:
    """What rows may be chosen by: the pipeline's fields, the raw file, and in logs the label."""
    return [field.name for field in config.fields] + ["file"] + (["label"] if rows == "logs" else [])


def _model_day(text: str) -> datetime.date | None:
    if text == CHAMPION:
        return None
    try:
        return parse_day(text)
    except ConfigError as error:
        raise ConfigError(
            f"model {text!r}: expected '{CHAMPION}', for the model in force on each day, or the day of a model such "
            "as 2026-11-02 (YYYY-MM-DD)"
        ) from error


def _slice(text: str, config: Config, rows: str) -> Slice | None:
    if not text.strip():
        return None
    field, equals, value = (part.strip(" ") for part in text.partition("="))
    if not equals:
        raise ConfigError(f"slice {text!r}: expected field = value, such as {config.fields[0].name} = 12")
    if re.search(CONTROL, text):
        raise ConfigError(f"slice {text!r}: a line break or another control character is part of no value; leave it")
    names = sliceable(config, rows)
    if field not in names:
        raise ConfigError(f"slice {text!r}: {rows} have no field {field!r}; choose one of {', '.join(names)}")
    kind = next((each.kind for each in config.fields if each.name == field), field)
    if kind in {"numeric", "label"} and value and not _number(value):
        raise ConfigError(f"slice {text!r}: {field} holds numbers, received {value!r}; write one such as 12 or 0.5")
    return Slice(field, value)


def _number(text: str) -> bool:
    return re.fullmatch(NUMBER, text) is not None and math.isfinite(float(text))


def _refuse_long(table: str) -> None:
    name = table.rpartition(".")[2]
    if len(name) > LONGEST_TABLE:
        raise ConfigError(
            f"the table {name} on the score server would have {len(name)} characters, expected at most "
            f"{LONGEST_TABLE}; give the export a shorter name"
        )
