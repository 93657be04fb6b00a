"""The one typed, frozen configuration: a TOML file checked once, at the edge."""

import datetime
import difflib
import glob
import math
import os
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import combinations, count, takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from pnn_gluon.blocks.layout import adaptive_sizes
from pnn_gluon.column_names import Column, is_path, is_plain
from pnn_gluon.days import plus
from pnn_gluon.errors import ConfigError
from pnn_gluon.idle_options import idle_model_options
from pnn_gluon.models.declared import (
    ADAPTIVE,
    checked_options,
    declared_models,
    fields_of,
    is_own,
    resolved_options,
    unknown_model,
)
from pnn_gluon.option_types import NAME_PATTERN, Name
from pnn_gluon.section import Section
from pnn_gluon.text_encoding import codec_of
from pnn_gluon.time_zones import UTC, hours_behind, start_of, zone_of
from pnn_gluon.training.families import family_of
from pnn_gluon.training.options import (
    DISTRIBUTED,
    BatchSize,
    FittingOptions,
    PretrainEpochs,
    Seed,
    TrainingOptions,
    UnseenShare,
)

PRESETS = Path(__file__).parent / "presets"
DAY_FORMS = ("day", "yyyymmdd", "yymmdd", "yyyy", "mm", "dd", "hh")
ENGINE_NAMES = frozenset({"label", "row_position", "file_row_number", "file_index", "filename", "rowid"})
"""Columns that counting and encoding (the first two) and DuckDB add beside the fields."""

RESERVED_NAMES = ENGINE_NAMES | {"row_id", "file", "line", "day", "share", "rate", "logit", "probability"}
"""Columns that some step adds beside the fields; no field has such a name."""

NUMBER = r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?"
"""What is a number in raw text."""

_WILDCARD = re.compile(r"[*?\[]")
_URL_OPTIONS = re.compile(r"\?\w+=.*$")

FIELD_NAME = re.compile(NAME_PATTERN)
_SHOWN = 100

Share = Annotated[float, Field(gt=0, lt=1)]
FilePath = Annotated[str, Field(pattern=r"^[^\x00]*$")]
FilePatterns: TypeAlias = Annotated[
    Annotated[FilePath, Tag("one")] | Annotated[tuple[FilePath, ...], Tag("several")],
    Discriminator(lambda given: _how_many(given)),
]
TimeForms: TypeAlias = Annotated[
    Annotated[str, Tag("one")] | Annotated[tuple[str, ...], Tag("several")],
    Discriminator(lambda given: _how_many(given)),
]
TimeColumns: TypeAlias = Annotated[
    Annotated[Column, Tag("one")] | Annotated[tuple[Column, ...], Field(min_length=2), Tag("several")],
    Discriminator(lambda given: _how_many(given)),
]
TimeZone = Annotated[str, AfterValidator(lambda name: _known_zone(name))]
"""The IANA name of a time zone."""

Symbol = Annotated[str, Field(pattern=r"^[^\x00\r\n]*$")]
"""What stands between or around the columns of a line."""

Delimiter = Annotated[Symbol, Field(min_length=1, max_length=8)]
Quote = Annotated[Symbol, Field(max_length=1)]
Comment = Annotated[Symbol, Field(max_length=8)]
Encoding = Annotated[str, AfterValidator(lambda name: codec_of(name))]
"""The codec of a text file."""


Person = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(lambda name: _readable(name))]
"""The name of somebody who decides, as Airflow knows it."""

Day = Annotated[datetime.date, BeforeValidator(lambda day: _no_number(day))]
"""A day as a TOML date or YYYY-MM-DD; pydantic would take a number for seconds since 1970."""


def _how_many(given: Any) -> str:
    """Which of two forms a value is meant to have, so that what is wrong with it is said of that form only."""
    return "several" if isinstance(given, list | tuple) else "one"


def _known_zone(name: str) -> str:
    try:
        return zone_of(name).key
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _readable(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError("expected a name without control characters, and without spaces around it")
    return name


def _no_number(day: Any) -> Any:
    if isinstance(day, int | float):
        raise ValueError("expected a day such as 2026-11-01")
    return day


def size_in_bytes(text: str) -> int:
    """Bytes of a size in MB or GB.

    >>> size_in_bytes("2GB")
    2000000000
    """
    return int(text[:-2]) * {"MB": 10**6, "GB": 10**9}[text[-2:]]


class StoreConfig(Section):
    """Where partitions live: a folder (relative to the configuration file) or an object-store URL."""

    root: FilePath
    cache_limit: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}(MB|GB)$")] | None = None
    delete_old_runs: bool = False
    old_run_hours: Annotated[float, Field(ge=1, le=10_000)] = 48.0

    @property
    def cache_bytes(self) -> int | None:
        """The most bytes of runs that this machine keeps of an object store; None for no limit."""
        return None if self.cache_limit is None else size_in_bytes(self.cache_limit)

    @model_validator(mode="after")
    def _folder_has_no_cache(self) -> Self:
        if self.cache_limit is not None and "://" not in self.root:
            raise ValueError("`cache_limit` has no effect on a folder, which needs no cache: leave it out")
        return self


class LabelRule(Section):
    """How a row's label is read: equal to one of `positive`, or at least `at_least`."""

    column: Column = "label"
    positive: tuple[str, ...] = ("1",)
    negative: tuple[str, ...] = ("0",)
    at_least: float | None = None

    @model_validator(mode="after")
    def _texts_differ(self) -> Self:
        if not self.positive or (not self.negative and self.at_least is None):
            raise ValueError("`positive` and `negative` need at least one text each")
        negative = {label_key(text) for text in self.negative}
        both = [text for text in self.positive if label_key(text) in negative]
        if both:
            raise ValueError(f"{both[0]!r} is positive and negative; a text is one of them")
        return self


class WeightsConfig(Section):
    """Columns of the counts of a line that stands for many impressions: of these, and of those that were clicked."""

    impressions: Column
    clicks: Column

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        if self.impressions == self.clicks:
            raise ValueError(f"`impressions` and `clicks` are both {self.clicks!r}; they are two columns")
        return self


def label_key(text: str) -> str | float:
    """What a label's text is compared by: its number where it is one, so that 1, 1.0 and 1e0 are the same."""
    try:
        return float(text) if re.fullmatch(NUMBER, text) else text
    except OverflowError:
        return text


PATTERNS = ("logs", "clicks", "requests")
"""Options of the source that say where raw files lie."""

NAMED_TIMES = {
    "epoch": "seconds since 1970",
    "epoch_ms": "milliseconds since 1970",
    "iso8601": "an ISO 8601 time",
}
"""Forms of a time that no strptime form says, and what each is called."""

_OF_RECORDS = {"escape", "quoted_newlines", "comment", "encoding"}
_OF_COLUMNS = {"delimiter", "quote", "header", "columns", "optional_columns"} | _OF_RECORDS
"""Options of the source that say how lines are cut into columns."""

_READING = {"id_column", "time_column", "time_format", "time_zone", "missing", "path_columns"}
"""Options of the source that say what the columns of logs and of click files mean."""


def _check_list(key: str, patterns: Sequence[str]) -> None:
    """Refuse patterns of one kind that say no place, or of which it is not clear what they say together."""
    for pattern in patterns:
        _check_pattern(key, pattern)
    if not patterns or len(set(patterns)) != len(patterns):
        raise ValueError(f"`{key}`: expected a pattern, or a list of different ones")
    if len({_store_of(pattern) for pattern in patterns}) > 1:
        raise ValueError(
            f"`{key}`: the patterns of a list lie in one store: local folders, or one bucket of one account"
        )
    if len({names_day(pattern) for pattern in patterns}) > 1:
        raise ValueError(f"`{key}`: of the patterns of a list, each names a whole day, or none does")


def _check_pattern(key: str, pattern: str) -> None:
    if not pattern.strip():
        raise ValueError(f"`{key}`: empty; write where the files lie, such as logs/{{day}}/*")
    for form in re.findall(r"\{(.*?)\}", pattern):
        if form not in DAY_FORMS:
            allowed = ", ".join(f"{{{name}}}" for name in DAY_FORMS)
            several = "; several patterns are a list" if "," in form else ""
            raise ValueError(f"`{key}`: no {{{form}}}{_suggest(form, DAY_FORMS)}; a day is one of {allowed}{several}")


class ClickFilesConfig(Section):
    """How click files are read where it is not as logs are; what is not given is as there."""

    kind: Literal["delimited", "parquet", "orc", "json"] | None = None
    delimiter: Delimiter | None = None
    quote: Quote | None = None
    header: bool | None = None
    escape: Quote | None = None
    quoted_newlines: bool | None = None
    comment: Comment | None = None
    encoding: Encoding | None = None
    columns: tuple[Column, ...] | None = None
    optional_columns: tuple[Column, ...] | None = None
    path_columns: tuple[Column, ...] | None = None
    id_column: Column | None = None
    time_column: TimeColumns | None = None
    time_format: TimeForms | None = None

    @property
    def given(self) -> dict[str, Any]:
        """The options that are given."""
        return {key: getattr(self, key) for key in sorted(self.model_fields_set) if getattr(self, key) is not None}


class SourceConfig(Section):
    """Raw logs and requests. A preset (criteo, avazu, ...) fills in all that is not given here.

    Paths hold `{day}` (YYYY-MM-DD), `{yyyymmdd}`, `{yymmdd}` or `{yyyy}`, `{mm}` and `{dd}`, with `{hh}` for every hour
    of the day; they may hold wildcards. A path without a whole day is an archive of many days: rows of other days are
    then counted and left out, not rejected. A day is one of `time_zone`, by whose clocks
    times without an offset are read.
    """

    preset: Name | None = None
    kind: Literal["delimited", "parquet", "orc", "json", "ipinyou_raw"] = "delimited"
    logs: FilePatterns
    clicks: FilePatterns | None = None
    click_files: ClickFilesConfig = ClickFilesConfig()
    attribution_hours: Annotated[float, Field(gt=0, le=2160)] | None = None
    requests: FilePatterns | None = None
    delimiter: Delimiter = "\t"
    quote: Quote = ""
    escape: Quote = ""
    quoted_newlines: bool = False
    comment: Comment = ""
    encoding: Encoding = "utf-8"
    header: bool = False
    columns: tuple[Column, ...] = ()
    optional_columns: tuple[Column, ...] = ()
    path_columns: tuple[Column, ...] = ()
    label: LabelRule = LabelRule()
    weights: WeightsConfig | None = None
    id_column: Column | None = None
    time_column: TimeColumns | None = None
    time_format: TimeForms = "%Y-%m-%d %H:%M:%S"
    time_zone: TimeZone = UTC
    missing: tuple[str, ...] = ("",)
    max_reject_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    on_repeat: Literal["any_click", "first", "last", "reject"] = "any_click"
    max_conflict_share: Annotated[float, Field(ge=0, le=1)] = 0.5

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind == "delimited" and not self.header and not self.columns:
            raise ValueError("a file without a header needs `columns`, the names in order")
        if self.kind == "ipinyou_raw" and self.clicks is None:
            raise ValueError("kind = 'ipinyou_raw' needs `clicks`: where the click files lie")
        if len({self.stored(column) for column in self.columns}) != len(self.columns):
            raise ValueError("`columns` names a column twice")
        self._check_symbols()
        self._check_optional()
        if self.id_column is None and self.model_fields_set & {"on_repeat", "max_conflict_share"}:
            raise ValueError("`on_repeat` and `max_conflict_share` are about rows of one id: name `id_column`")
        self._check_json()
        self._check_patterns()
        self._check_times()
        self._check_clicks()
        self._check_weights()
        return self

    def _check_optional(self) -> None:
        optional, own = ({self.stored(name) for name in each} for each in (self.optional_columns, self.path_columns))
        listed = [self.stored(name) for name in self.columns]
        needed = {self.stored(name) for name in (*self.label_columns, self.id_column, *self.time_columns) if name}
        if both := sorted(own & set(listed)):
            raise ValueError(f"`path_columns`: {both[0]!r} is in `columns`, too; a column is in one place")
        if wrong := sorted(optional & (needed | own)):
            raise ValueError(f"`optional_columns`: {wrong[0]!r} is needed, or is no column of a file")
        if listed and not self.header and set(listed[len(listed) - len(optional) :]) != optional:
            raise ValueError("`optional_columns`: without a header these are the last of `columns`")

    def _check_symbols(self) -> None:
        symbols = {"delimiter": self.delimiter, "quote": self.quote, "escape": self.escape}
        for one, other in combinations(symbols, 2):
            if symbols[one] and symbols[one] == symbols[other]:
                raise ValueError(f"`{other}` and `{one}` are both {symbols[one]!r}; they must differ")
            if symbols[other] and symbols[other] in symbols[one]:
                raise ValueError(f"`{other}` {symbols[other]!r} is part of `{one}` {symbols[one]!r}; they must differ")
        if self.quoted_newlines and not (self.quote or self.escape):
            raise ValueError("`quoted_newlines` needs `quote` or `escape`, which keep a record together")
        idle = sorted(self.model_fields_set & _OF_RECORDS) if self.typed else []
        if idle:
            raise ValueError(f"`{idle[0]}` is about lines of text, and has no effect with kind = {self.kind!r}")

    def _check_json(self) -> None:
        idle = sorted(self.model_fields_set & _OF_COLUMNS) if self.kind == "json" else []
        if idle:
            advice = "remove it or the preset" if self.preset else "remove it"
            raise ValueError(f"`{idle[0]}` has no effect with kind = 'json', whose lines name their values; {advice}")

    def _check_patterns(self) -> None:
        for key in PATTERNS:
            if getattr(self, key) is not None:
                _check_list(key, patterns_of(getattr(self, key)))

    def _check_times(self) -> None:
        if self.time_zone != UTC and not self.time_columns and not names_day(patterns_of(self.logs)[0]):
            raise ValueError("`time_zone` is about the time of a row: name `time_column`")
        if len(set(self.time_columns)) != len(self.time_columns):
            raise ValueError("`time_column` names a column twice")
        if not self.time_forms or len(set(self.time_forms)) != len(self.time_forms):
            raise ValueError("`time_format`: expected a form, or a list of different ones in the order they are tried")
        for form in self.time_forms:
            if form not in NAMED_TIMES and "%" not in form:
                known = ", ".join(NAMED_TIMES)
                raise ValueError(
                    f"`time_format`: no form {form!r}{_suggest(form, NAMED_TIMES)}; {known} or a strptime form"
                )

    def _check_clicks(self) -> None:
        if self.clicks is None:
            idle = sorted(self.model_fields_set & {"click_files", "attribution_hours"})
            if idle:
                raise ValueError(f"`{idle[0]}` is about click files: say where they lie (`clicks`)")
            return
        if self.id_column is None:
            raise ValueError("clicks are joined by `id_column`; name it")
        if "label" in self.model_fields_set and not self.preset:
            raise ValueError("`label` has no effect with `clicks`, which say what was clicked; remove one of them")
        if self.attribution_hours is not None and not (self.time_columns and self.of_clicks.time_columns):
            raise ValueError("`attribution_hours` needs the times of impressions and of clicks: name `time_column`")
        _ = self.of_clicks

    def _check_weights(self) -> None:
        if self.weights is None:
            return
        if self.clicks is not None:
            raise ValueError("`weights` and `clicks` both say what was clicked; remove one of them")
        if "label" in self.model_fields_set and not self.preset:
            raise ValueError("`label` has no effect with `weights`, which say what was clicked; remove one of them")
        if self.on_repeat == "any_click" and "on_repeat" in self.model_fields_set:
            raise ValueError("`on_repeat` with `weights`: first, last or reject; counts have no label to be joined")

    @property
    def weighted(self) -> bool:
        """Whether a row may stand for many impressions."""
        return self.weights is not None

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns of the logs that say what was clicked; none where click files do."""
        if self.weights is not None:
            return (self.weights.impressions, self.weights.clicks)
        return (self.label.column,) if self.clicks is None else ()

    @cached_property
    def of_clicks(self) -> "SourceConfig":
        """How click lines are read. Ids are those of the logs, which `preset` or `kind` names."""
        own = self.click_files.given
        alike = own.get("kind", self.kind) == self.kind
        shared = _READING | _OF_COLUMNS if alike else _READING
        read = {key: getattr(self, key) for key in sorted(self.model_fields_set & shared)} | own
        if (listed := own.get("columns")) is not None:
            told = tuple(name for name in self.path_columns if name not in listed)
            read = {**read, "optional_columns": (), "path_columns": told} | own
            if not set(self.time_columns) <= {*listed, *read["path_columns"]}:
                read = {key: value for key, value in read.items() if key in own or key != "time_column"}
        kind = own.get("kind", "delimited" if self.kind == "ipinyou_raw" else self.kind)
        try:
            return SourceConfig(**{**read, "kind": kind, "logs": self.clicks, "preset": self.preset or self.kind})
        except ValidationError as error:
            raise ValueError(f"`click_files`: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None

    def click_days(self, day: datetime.date) -> int:
        """Days after a day in whose files clicks of its impressions may be: until its end, and so many hours more."""
        if not self.attribution_hours or not self.clicks or not names_day(patterns_of(self.clicks)[0]):
            return 0
        last = start_of(plus(day, 1), self.time_zone) + datetime.timedelta(hours=self.attribution_hours)
        least = math.ceil(self.attribution_hours / 24) - 1  # where one of the days has 25 hours
        return next(number for number in count(least) if start_of(plus(day, number + 1), self.time_zone) >= last)

    @property
    def time_forms(self) -> tuple[str, ...]:
        """The forms of a time in the order they are tried."""
        return (self.time_format,) if isinstance(self.time_format, str) else self.time_format

    @property
    def time_columns(self) -> tuple[str, ...]:
        """The columns of the time of a row, whose texts are joined by a blank; none where rows have no time."""
        return patterns_of(self.time_column)

    @property
    def typed(self) -> bool:
        """Whether files hold columns with names and types."""
        return self.kind in {"parquet", "orc"}

    def stored(self, column: str) -> str:
        """What a column is looked up by: keys of JSON as they are written, all other names in lower case."""
        return column if self.kind == "json" else column.lower()

    @property
    def known_columns(self) -> frozenset[str]:
        """The columns that files and their paths are said to have, as `stored`; none where files say theirs."""
        return frozenset(self.stored(column) for column in (*self.columns, *self.path_columns) if self.columns)

    def fault_of(self, column: str) -> str | None:
        """Why files of this kind have no such column; None if they may have it."""
        if self.kind == "json":
            return None if is_path(column) else "expected keys with dots between them, none of them empty or *"
        if is_plain(column) or self.header or self.typed:
            return None
        advice = "a path into JSON lines needs kind = 'json'; " if "." in column else ""
        return (
            "a file without a header has columns named by `columns`, in lower-case letters, digits and underscores; "
            f"{advice}other names need header = true"
        )


class _FieldConfig(Section):
    name: Name
    column: Column = ""
    alternatives: tuple[Column, ...] = ()
    since: datetime.date | None = None
    until: datetime.date | None = None

    def there_on(self, day: datetime.date) -> bool:
        """Whether the rows of a day have it."""
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)

    @model_validator(mode="after")
    def _days_are_in_order(self) -> Self:
        if self.since is not None and self.until is not None and self.until < self.since:
            raise ValueError(f"`until` {self.until} is before `since` {self.since}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _column_defaults_to_name(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        columns = values.get("column")
        if isinstance(columns, list | tuple) and columns and "alternatives" not in values:
            return {**values, "column": columns[0], "alternatives": tuple(columns[1:])}
        if columns:
            return values
        name = values.get("name")
        read = {"column": name} if isinstance(name, str) and FIELD_NAME.match(name) else {}
        return {**{key: value for key, value in values.items() if key != "column"}, **read}


class CategoricalField(_FieldConfig):
    """A field with one value a row."""

    kind: Literal["categorical"] = "categorical"


class NumericField(_FieldConfig):
    """A number put into buckets: quantiles of the first window, floor(ln v), floor(ln(v)^2), or given edges."""

    kind: Literal["numeric"]
    bucketing: Literal["quantile", "log", "log_square", "edges"] = "quantile"
    buckets: Annotated[int, Field(ge=2, le=4096)] = 32
    edges: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _edges_rise(self) -> Self:
        if (self.bucketing == "edges") != bool(self.edges):
            raise ValueError("`edges` goes with bucketing = 'edges', which needs it")
        if any(a >= b for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("`edges` must rise strictly")
        if "buckets" in self.model_fields_set and self.bucketing != "quantile":
            raise ValueError("`buckets` has an effect with bucketing = 'quantile' only")
        return self


MAX_VALUES = 256
"""Most values of a row that count, of a field of several values."""


class MultiField(_FieldConfig):
    """A field with a set of values a row, written in one column with a separator."""

    kind: Literal["multi"]
    separator: Annotated[str, Field(min_length=1, max_length=1)] = "|"
    max_values: Annotated[int, Field(ge=1, le=MAX_VALUES)] = 16


AnyField = Annotated[CategoricalField | NumericField | MultiField, Field(discriminator="kind")]

Fields = Sequence[AnyField]
"""Fields of a row, in order."""


class SamplingConfig(Section):
    """Shares of the rows, split by a hash of the row id, and the rate at which train negatives are kept."""

    negative_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    salt: str = "pnn_gluon"
    train: Share = 0.8
    calibrate: Share = 0.1
    gate: Share = 0.1

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        total = self.train + self.calibrate + self.gate
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train + calibrate + gate must be 1, not {total:g}")
        return self


class FeatureMapConfig(Section):
    """Which values get an id of their own: those with enough impressions in the counting window."""

    min_impressions: Annotated[int, Field(ge=1, lt=2**63)] = 10
    window_days: Annotated[int, Field(ge=1, le=400)] = 7
    expire_days: Annotated[int, Field(ge=0, le=3660)] = 0
    min_days: Annotated[int, Field(ge=1, le=400)] = 1

    @model_validator(mode="after")
    def _days_are_in_the_window(self) -> Self:
        if self.min_days > self.window_days:
            raise ValueError(f"min_days {self.min_days}: at most window_days ({self.window_days}), or no value passes")
        return self


class ModelOptions(Section):
    """The model by name and some of its options; an option that the model does not take is an error.

    Which those are, their types and their defaults stand in the model's file; see `pnn_gluon.models.declared`.
    An option left out has the model's own default.
    """

    model_config = ConfigDict(extra="allow")

    name: str

    @model_validator(mode="before")
    @classmethod
    def _options_are_the_models(cls, values: Any) -> Any:
        name = values.get("name") if isinstance(values, Mapping) else None
        if not isinstance(name, str) or not (is_own(name) or name in declared_models()):
            return values
        return {"name": name, **checked_options(name, {key: values[key] for key in values if key != "name"})}

    @field_validator("name")
    @classmethod
    def _name_is_known(cls, name: str) -> str:
        if not is_own(name) and name not in declared_models():
            raise ValueError(unknown_model(name))
        return name

    @property
    def given(self) -> dict[str, Any]:
        """The options that are given."""
        return dict(self.model_extra or {})

    @property
    def resolved(self) -> dict[str, Any]:
        """All options, the model's own defaults for those left out."""
        return resolved_options(self.name, self.given)

    @property
    def embedding_size(self) -> int | None:
        """The given K; None for the model's own."""
        size: int | None = self.given.get("embedding_size")
        return size

    @property
    def adaptive_c(self) -> float | None:
        """The given c of `adaptive_sizes`."""
        c: float | None = self.given.get(ADAPTIVE)
        return c


class ModelConfig(ModelOptions):
    """The model by name with all its options, which must go together."""

    @model_validator(mode="after")
    def _sizes_are_given_once(self) -> Self:
        if self.adaptive_c is not None and ("embedding_sizes" in self.given or self.embedding_size is None):
            raise ValueError("`adaptive_c` needs `embedding_size`, the largest size, and no `embedding_sizes`")
        return self

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> Self:
        idle = idle_model_options(self.name, self.given)
        if idle:
            raise ValueError("; ".join(f"`{option}` {why}" for option, why in idle.items()))
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments given for `create_model`, without what depends on the vocabulary."""
        return {option: value for option, value in self.given.items() if option != ADAPTIVE}

    def options_for(self, vocabulary: Sequence[int]) -> dict[str, Any]:
        """The keyword arguments for `create_model` with fields of so many ids: `adaptive_c` gives their sizes."""
        if self.adaptive_c is None or self.embedding_size is None:
            return self.options
        return self.options | {"embedding_sizes": adaptive_sizes(vocabulary, self.adaptive_c, self.embedding_size)}

    @property
    def fields(self) -> set[str]:
        """Names of the fields that the options speak of."""
        return fields_of(self.name, self.given)


class TrainingConfig(FittingOptions):
    """The training window, the optimizer and how training stops, checkpoints and spreads over devices.

    `validation` says what early stopping looks at: the calibrate share of the whole window (held_out),
    all of the newest day, which is then not trained on (last_day), or nothing (none: `epochs` decides).
    `warm_start_from`: the model in force, or yesterday's, even one that the gate refused. `carry_optimizer`: a warm
    start goes on with the optimizer's states too, which every model then leaves.
    `pretrain_epochs`: before a model that does not start from yesterday's is trained, an FM with its embedding
    options is, for so many epochs, and the model starts from its tables. `unseen_share`: the share of rows in
    which fields are read as *other* or *missing*; see `pnn_gluon.data.unseen`. `workers`: with a `kvstore` of many
    processes, how many a batch is divided over. Whether the options of the library go together is checked by
    `TrainingOptions`.
    """

    window_days: Annotated[int, Field(ge=1, le=400)] = 7
    warm_start: bool = False
    warm_start_from: Literal["champion", "yesterday"] = "champion"
    carry_optimizer: bool = False
    pretrain_epochs: PretrainEpochs = 0
    unseen_share: UnseenShare = 0.05
    batch_size: BatchSize = 1000
    validation: Literal["held_out", "last_day", "none"] = "held_out"
    seed: Seed = 1
    workers: Annotated[int, Field(ge=1, le=1000)] = 1

    @property
    def distributed(self) -> bool:
        """Whether parameters lie on servers."""
        return self.kvstore in DISTRIBUTED

    @property
    def options(self) -> TrainingOptions:
        """The library's options."""
        return TrainingOptions(**self.model_dump(include=set(TrainingOptions.model_fields)))

    @model_validator(mode="after")
    def _windows_fit(self) -> Self:
        if self.warm_start and self.window_days != 1:
            raise ValueError("warm_start trains on one day a day: set window_days = 1")
        if "warm_start_from" in self.model_fields_set and not self.warm_start:
            raise ValueError("`warm_start_from` has no effect without warm_start = true")
        if self.validation == "last_day" and self.window_days == 1:
            raise ValueError("validation = 'last_day' leaves nothing to train on with window_days = 1")
        if self.validation == "none" and self.schedule == "plateau":
            raise ValueError("schedule = 'plateau' has no effect with validation = 'none'")
        if self.validation == "none" and "patience" in self.model_fields_set:
            raise ValueError("`patience` has no effect with validation = 'none'")
        return self

    @model_validator(mode="after")
    def _states_go_on(self) -> Self:
        if not self.carry_optimizer:
            return self
        if not self.warm_start:
            raise ValueError("`carry_optimizer` has no effect without warm_start = true")
        if self.optimizer == "sgd":
            raise ValueError("`carry_optimizer` has no effect with optimizer 'sgd', which has no state")
        if self.average_decay is not None:
            raise ValueError(
                "carry_optimizer takes up states of the parameters, average_decay means: take one of the two"
            )
        if self.distributed:
            raise ValueError(f"kvstore {self.kvstore!r} goes without carry_optimizer: states stay on the servers")
        return self

    @model_validator(mode="after")
    def _workers_have_servers(self) -> Self:
        if self.workers > 1 and not self.distributed:
            raise ValueError(f"`workers` has no effect with kvstore = {self.kvstore!r}: take 'dist_sync'")
        if self.pretrain_epochs and self.distributed:
            raise ValueError(f"pretrain_epochs has no effect with kvstore = {self.kvstore!r}: leave it out")
        return self

    @model_validator(mode="after")
    def _options_go_together(self) -> Self:
        try:
            _ = self.options
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self


class CalibrationConfig(Section):
    """How corrected logits become probabilities, and when late labels count as complete.

    `min_clicks`: clicks, and non-clicks, below which isotonic and auto fall back to Platt scaling. `segment`: the field
    by whose values there is a calibrator each.
    """

    method: Literal["isotonic", "beta", "platt", "temperature", "none", "auto"] = "isotonic"
    min_clicks: Annotated[int, Field(ge=1)] = 100
    segment: Name | None = None
    window_days: Annotated[int, Field(ge=1, le=400)] = 1
    maturity_days: Annotated[int, Field(ge=0, le=90)] = 0

    @model_validator(mode="after")
    def _segments_are_calibrated(self) -> Self:
        if self.segment is not None and self.method == "none":
            raise ValueError("`segment` has no effect with method = 'none'")
        return self


class EvaluationConfig(Section):
    """How the day's metrics are told; see pnn_gluon.evaluation.day_metrics.

    `cluster`: the field whose rows of one value depend on one another, such as the user: intervals, those of the gate
    too, then draw all rows of a value together. `auc_by`: fields within whose values AUC is told as well.
    `min_clicks`: rows with clicks, and without (or clusters with either), below which there are no intervals.
    `slices`: fields whose values are looked at one by one, the `slice_values` with the most rows.
    """

    cluster: Name | None = None
    auc_by: tuple[Name, ...] = ()
    bootstrap_repeats: Annotated[int, Field(ge=10, le=10_000)] = 200
    min_clicks: Annotated[int, Field(ge=2, le=500)] = 10
    slices: tuple[Name, ...] = ()
    slice_values: Annotated[int, Field(ge=1, le=1000)] = 20

    @model_validator(mode="after")
    def _values_are_those_of_slices(self) -> Self:
        if "slice_values" in self.model_fields_set and not self.slices:
            raise ValueError("`slice_values` belongs to `slices`: name the fields")
        return self


class ReportConfig(Section):
    """What the page of a day shows: `trend_days` is the number of days before it whose numbers stand beside its own."""

    trend_days: Annotated[int, Field(ge=1, le=90)] = 13


class ExplainConfig(Section):
    """How the day's model is explained: by at most `rows` rows of the gate's share, 0 for not at all.

    `repeats` are those of the bootstrap of the importance of fields. More rows than the bootstrap draws one by one
    would widen nothing but the cost.
    """

    rows: Annotated[int, Field(ge=0, le=20_000)] = 20_000
    repeats: Annotated[int, Field(ge=10, le=10_000)] = 100


Level: TypeAlias = Literal["fail", "warn", "off"]
"""What a finding of a check does: stop before training, tell, or nothing, since nobody looks."""


class CheckRule(NamedTuple):
    """What a finding does, and from where on it is one."""

    level: Level
    limit: float


ShareLimit = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=1, le=1000)]


class FieldChecksConfig(Section):
    """The checks of one field, where they are not those of the others."""

    absent: Level | None = None
    missing: Level | None = None
    missing_limit: ShareLimit | None = None
    new_values: Level | None = None
    new_values_limit: ShareLimit | None = None
    drift: Level | None = None
    drift_limit: ShareLimit | None = None
    skew: Level | None = None
    skew_limit: ShareLimit | None = None


class ChecksConfig(Section):
    """The checks of a day's data against the days before and the requests; see `pnn_gluon.checks.findings`."""

    window_days: Annotated[int, Field(ge=1, le=400)] = 7
    absent: Level = "fail"
    copies: Level = "warn"
    volume: Level = "warn"
    volume_limit: Factor = 1.6
    label_rate: Level = "warn"
    label_rate_limit: Factor = 1.5
    rejects: Level = "warn"
    rejects_limit: ShareLimit = 0.005
    missing: Level = "warn"
    missing_limit: ShareLimit = 0.1
    new_values: Level = "warn"
    new_values_limit: ShareLimit = 0.2
    drift: Level = "warn"
    drift_limit: ShareLimit = 0.2
    skew: Level = "warn"
    skew_limit: ShareLimit = 0.2
    fields: Mapping[Name, FieldChecksConfig] = {}

    def rule(self, check: str, field: str | None = None) -> CheckRule:
        """The rule of a check, as far as there is one for the field, its own."""
        own = self.fields.get(field or "", FieldChecksConfig())
        level, limit = (getattr(own, key, None) for key in (check, f"{check}_limit"))
        return CheckRule(
            getattr(self, check) if level is None else level,
            getattr(self, f"{check}_limit", 0.0) if limit is None else limit,
        )

    @model_validator(mode="after")
    def _limits_have_an_effect(self) -> Self:
        tables: list[tuple[str | None, Section]] = [(None, self), *self.fields.items()]
        for name, own in tables:
            judged = [name] if name else [None, *self.fields]
            for key in sorted(own.model_fields_set):
                check = key.removesuffix("_limit")
                if key != check and all(self.rule(check, field).level == "off" for field in judged):
                    where = f"fields.{name}." if name else ""
                    raise ValueError(f"`{where}{key}` has no effect with {check} = 'off'")
        return self


class GateConfig(Section):
    """Limits a candidate must keep to be promoted; see pnn_gluon.evaluation.gate."""

    metric: Literal["auc", "log_loss", "normalized_entropy"] = "normalized_entropy"
    max_regression: Annotated[float, Field(ge=0)] = 0.002
    min_auc: Annotated[float, Field(ge=0, le=1)] = 0.5
    pcoc_low: Annotated[float, Field(gt=0)] = 0.8
    pcoc_high: Annotated[float, Field(gt=0)] = 1.25
    min_rows: Annotated[int, Field(ge=1)] = 100
    trailing_days: Annotated[int, Field(ge=0, le=400)] = 0
    min_rows_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    max_new_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    min_clicks: Annotated[int, Field(ge=1)] = 10
    window_days: Annotated[int, Field(ge=1, le=400)] = 1
    slices: tuple[Name, ...] = ()
    slice_max_regression: Annotated[float, Field(ge=0)] = 0.02
    slice_min_rows: Annotated[int, Field(ge=1)] = 1000
    bootstrap_repeats: Annotated[int, Field(ge=10, le=10_000)] = 200
    approval: Literal["never", "always", "when_scores_move"] = "never"
    approval_mean_move: Annotated[float, Field(ge=0)] = 0.1
    approval_p99_move: Annotated[float, Field(ge=0)] = 0.5
    approval_rank_correlation: Annotated[float, Field(ge=-1, le=1)] = 0.8
    approval_overlap: Annotated[float, Field(ge=0, le=1)] = 0.5

    @model_validator(mode="after")
    def _range_holds(self) -> Self:
        if self.pcoc_low >= self.pcoc_high:
            raise ValueError(f"pcoc_low {self.pcoc_low} must be below pcoc_high {self.pcoc_high}")
        return self

    @model_validator(mode="after")
    def _rows_are_compared(self) -> Self:
        if "min_rows_share" in self.model_fields_set and not self.trailing_days:
            raise ValueError("`min_rows_share` belongs to trailing_days of 1 or more")
        return self

    @model_validator(mode="after")
    def _moves_are_asked_about(self) -> Self:
        idle = {name for name in self.model_fields_set if name.startswith("approval_")}
        if idle and self.approval != "when_scores_move":
            raise ValueError(f"`{min(idle)}` belongs to approval = 'when_scores_move'")
        return self


class ApprovalConfig(Section):
    """Who may decide about models, and for how long Airflow waits for an answer to `gate.approval`.

    Without `approvers` everybody may who can start the pipeline's runs; with some, a rollback needs one of them, too.
    """

    hours: Annotated[float, Field(gt=0, le=240)] = 6
    approvers: tuple[Person, ...] = ()


class PublishConfig(Section):
    """Where score tables go.

    `server` is `embedded` (PostgreSQL from a pip package, in the store's neighbourhood), `env:VARIABLE` (the
    variable holds the URI) or `connection:ID` (an Airflow connection, handed over by the DAG). `deadline` is the time
    (UTC, of the day that is scored) at which scores go out by the newest model there is if the day's own is not there;
    a score or publish that is at work then is waited for `overtake_minutes`, then taken for one that hangs, and ended.
    """

    server: Annotated[str, Field(pattern=r"^(embedded|env:[A-Z_][A-Z0-9_]*|connection:[A-Za-z0-9_]+)$")] = "embedded"
    table: Annotated[str, Field(pattern=r"^([a-z_][a-z0-9_]{0,40}\.)?[a-z_][a-z0-9_]{0,40}$")] = "scores"
    folder: FilePath | None = None
    port: Annotated[int, Field(ge=1024, le=65535)] | None = None
    deadline: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "06:00"
    overtake_minutes: Annotated[float, Field(ge=0, le=600)] = 15

    @property
    def due(self) -> datetime.time:
        """The time of the deadline (UTC)."""
        return datetime.time.fromisoformat(self.deadline)

    @model_validator(mode="after")
    def _embedded_options(self) -> Self:
        if self.server != "embedded" and (self.folder or self.port):
            raise ValueError("`folder` and `port` belong to server = 'embedded'")
        return self


class ArrivalConfig(Section):
    """When the raw files of a day have come; Airflow waits for them, and nothing that is stored depends on it.

    All that is given must hold: a file `marker` beside them, `min_bytes` of logs, no change for `quiet_minutes`. The
    wait fails, and the day with it, `patience_hours` after the end of the day; where a day is over for longer, its
    files need not be quiet.
    """

    marker: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")] | None = None
    min_bytes: Annotated[int, Field(ge=0)] = 0
    quiet_minutes: Annotated[float, Field(ge=0, le=1440)] = 5
    patience_hours: Annotated[float, Field(gt=0, le=240)] = 5


Tracker: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(lambda given: _tracker(given))]
"""A variable or an Airflow connection that holds a URL, or a local file."""


def _tracker(given: str) -> str:
    kind, colon, name = given.partition(":")
    forms = {"env": r"[A-Z_][A-Z0-9_]*", "connection": r"[A-Za-z0-9_]+"}
    if colon and not re.fullmatch(forms.get(kind, "(?!)"), name):
        raise ValueError("expected env:VARIABLE, connection:ID or a file; a URL may hold a password: let one hold it")
    if "\0" in given:
        raise ValueError("expected a path without a NUL")
    return given


ConnectionId: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


class NoticesConfig(Section):
    """Who is told of what failed, was refused, fell back or is late.

    `connection` is the Airflow connection (type HTTP) of a webhook, `smtp` that (type SMTP) of a mail server, by which
    those in `to` get a mail.
    """

    connection: ConnectionId | None = None
    smtp: ConnectionId | None = None
    to: tuple[Annotated[str, Field(pattern=r"^[^@\s,;<>]+@[^@\s,;<>]+$")], ...] = ()

    @model_validator(mode="after")
    def _a_mail_has_a_server_and_somebody_to_go_to(self) -> Self:
        if bool(self.smtp) != bool(self.to):
            raise ValueError("smtp, the connection of a mail server, and to, the addresses, come together")
        return self

    @property
    def anybody(self) -> bool:
        """Whether there is anybody to be told."""
        return bool(self.connection or self.smtp)


class TrackingConfig(Section):
    """Who is told of a day once it has ended, from what the store holds: an MLflow, and a catalogue of lineage.

    Each is `env:VARIABLE` (the variable holds its URL), `connection:ID` (an Airflow connection of type HTTP, handed
    over by the DAG) or a local file, relative to the configuration: a database of SQLite for MLflow, a file with an
    event a line for OpenLineage.
    """

    mlflow: Tracker | None = None
    openlineage: Tracker | None = None

    @property
    def anybody(self) -> bool:
        """Whether there is anybody to be told."""
        return self.mlflow is not None or self.openlineage is not None


class LimitsConfig(Section):
    """The most hours that a day of a step may take in Airflow, by the step's name, in place of its own limit."""

    hours: Mapping[str, Annotated[float, Field(gt=0, le=240)]] = {}


class WorkersConfig(Section):
    """In an Airflow with workers or Kubernetes: where a step's tasks run and what they get there, by the step's name.

    `pod` is a file with a pod of one's own, relative to the configuration, that the pods of tasks are made from.
    """

    queues: Mapping[str, Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]] = {}
    image: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}$")] | None = None
    pod: str | None = None
    cpu: Mapping[str, Annotated[float, Field(gt=0, le=256)]] = {}
    memory: Mapping[str, Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}(Mi|Gi)$")]] = {}
    gpus: Mapping[str, Annotated[int, Field(ge=0, le=16)]] = {}


Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:_-]{0,251}[A-Za-z0-9])?$")]


class ClusterConfig(Section):
    """Where the processes of training run with `training.kvstore` dist_sync or dist_device_sync.

    Without hosts all run on this machine and are reached from nowhere else; else workers and servers take turns over
    their hosts, which are reached by ssh, and `address` is that of this machine as they see it. `stall_seconds` is how
    long a process waits for the others before it ends the run.
    """

    servers: Annotated[int, Field(ge=1, le=1000)] = 1
    worker_hosts: tuple[Host, ...] = ()
    server_hosts: tuple[Host, ...] = ()
    address: Host | None = None
    stall_seconds: Annotated[float, Field(ge=5, le=86_400)] = 300.0

    @model_validator(mode="after")
    def _hosts_find_this_machine(self) -> Self:
        given = bool(self.worker_hosts), bool(self.server_hosts), self.address is not None
        if any(given) and not all(given):
            raise ValueError("worker_hosts, server_hosts and address go together: give all three or none")
        return self


class EngineConfig(Section):
    """What runs the part functions of a day, and the limits of the SQL engine in process (DuckDB) that they use.

    `cluster` is where training runs that is divided over many processes.
    """

    kind: Literal["local", "spark"] = "local"
    spark_master: str = "local[*]"
    spark_options: Mapping[Annotated[str, Field(pattern=r"^spark\.[A-Za-z0-9._]+$")], str] = {}
    memory_limit: Annotated[str, Field(pattern=r"^[0-9]+(MB|GB)$")] = "1GB"
    threads: Annotated[int, Field(ge=1, le=256)] = 2
    cluster: ClusterConfig = ClusterConfig()

    @property
    def parallel(self) -> bool:
        """Whether several parts may be worked on at once."""
        return self.kind == "spark" or self.threads > 1

    @property
    def megabytes(self) -> int:
        """The memory limit in MB."""
        return int(self.memory_limit[:-2]) * (1000 if self.memory_limit.endswith("GB") else 1)

    @field_validator("memory_limit")
    @classmethod
    def _memory_is_enough(cls, text: str) -> str:
        if not 32 <= int(text[:-2]) * (1000 if text.endswith("GB") else 1) <= 10**9:
            raise ValueError("expected between 32MB and 1000000GB")
        return text


def _after(day: datetime.date | None) -> datetime.date | None:
    return None if day is None else plus(day, 1)


class Config(Section):
    """One pipeline: everything that decides what a day's files hold.

    `last_day` is for a pipeline over past logs: Airflow schedules no day after it. `owner` is who Airflow shows as the
    owner of its tasks.
    """

    name: Name
    owner: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}$")] = "pnn_gluon"
    first_day: Day
    last_day: Day | None = None
    store: StoreConfig
    source: SourceConfig
    fields: Annotated[tuple[AnyField, ...], Field(min_length=1)]
    sampling: SamplingConfig = SamplingConfig()
    feature_map: FeatureMapConfig = FeatureMapConfig()
    model: ModelConfig
    training: TrainingConfig = TrainingConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    explain: ExplainConfig = ExplainConfig()
    report: ReportConfig = ReportConfig()
    checks: ChecksConfig = ChecksConfig()
    gate: GateConfig = GateConfig()
    approval: ApprovalConfig = ApprovalConfig()
    publish: PublishConfig = PublishConfig()
    arrival: ArrivalConfig = ArrivalConfig()
    limits: LimitsConfig = LimitsConfig()
    workers: WorkersConfig = WorkersConfig()
    notices: NoticesConfig = NoticesConfig()
    tracking: TrackingConfig = TrackingConfig()
    engine: EngineConfig = EngineConfig()

    path: Path = Field(default=Path("pipeline.toml"), exclude=True)

    @field_validator("fields", mode="before")
    @classmethod
    def _fields_are_categorical_by_default(cls, fields: Any) -> Any:
        if not isinstance(fields, list | tuple):
            return fields
        return [{"kind": "categorical", **f} if isinstance(f, Mapping) else f for f in fields]

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        if self.calibration.window_days > self.training.window_days:
            raise ValueError(
                f"calibration.window_days {self.calibration.window_days}: at most training.window_days "
                f"({self.training.window_days}), the days that are encoded"
            )
        if not (
            self.source.time_column or names_day(patterns_of(self.source.logs)[0]) or self.last_day == self.first_day
        ):
            raise ValueError(
                f"source.logs {self.source.logs!r} names no day, so the whole of it would be every day: put {{day}} "
                "into it, name the column of the time (source.time_column), or set last_day = first_day for one day"
            )
        if self.last_day is not None and self.last_day < self.first_day:
            raise ValueError(f"last_day {self.last_day} is before first_day {self.first_day}")
        names = [field.name for field in self.fields]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"field {doubled[0]!r} is declared twice")
        reserved = sorted((RESERVED_NAMES | ({"weight"} if self.source.weights else set())) & set(names))
        if reserved:
            raise ValueError(f"field name {reserved[0]!r} is taken by the pipeline; choose another and set `column`")
        for name in sorted(self.model.fields):
            if name not in names:
                raise ValueError(f"model: no field {name!r}{_suggest(name, names)}")
        for name in self.gate.slices:
            if name not in names:
                raise ValueError(f"gate.slices: no field {name!r}{_suggest(name, names)}")
        self._check_segment(names)
        self._check_evaluation(names)
        self._check_days_of_fields()
        self._check_checked_fields(names)
        self._check_columns()
        return self

    @model_validator(mode="after")
    def _a_cluster_trains(self) -> Self:
        if self.engine.cluster.model_fields_set and not self.training.distributed:
            raise ValueError("[engine.cluster] has no effect without training.kvstore = 'dist_sync'")
        return self

    @model_validator(mode="after")
    def _training_has_an_effect(self) -> Self:
        faults = list(family_of(self.model.name).pipeline_faults(self.model.name, self.model.given, self.training))
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _check_checked_fields(self, names: Sequence[str]) -> None:
        for name, own in self.checks.fields.items():
            if name not in names:
                raise ValueError(f"checks.fields: no field {name!r}{_suggest(name, names)}")
            numeric = self.fields[names.index(name)].kind == "numeric"
            if numeric and own.model_fields_set & {"new_values", "new_values_limit"}:
                raise ValueError(f"checks.fields.{name}: new_values has no effect on a numeric field")

    def _check_days_of_fields(self) -> None:
        """Every day has a field, and those that options speak of."""
        starts = [self.first_day, *(day for field in self.fields for day in (field.since, _after(field.until)) if day)]
        for day in starts:
            if not self.on(day).fields:
                raise ValueError(f"fields: none of them is there on {day}")
        told = self.evaluation
        spoken = {"model": self.model.fields, "gate.slices": self.gate.slices, "evaluation.auc_by": told.auc_by}
        spoken |= {"evaluation.slices": told.slices, "evaluation.cluster": [told.cluster or ""]}
        spoken |= {"calibration.segment": [self.calibration.segment or ""]}
        partial = {field.name for field in self.fields if field.since or field.until}
        for option, names in spoken.items():
            if wrong := sorted(partial.intersection(names)):
                raise ValueError(f"{option}: field {wrong[0]!r} has `since` or `until`; name one that every day has")

    def on(self, day: datetime.date) -> Self:
        """The same with the fields that the rows of a day have."""
        fields = tuple(field for field in self.fields if field.there_on(day))
        return self if fields == self.fields else self.model_copy(update={"fields": fields})

    def _check_segment(self, names: Sequence[str]) -> None:
        segment = self.calibration.segment
        if segment is None:
            return
        if segment not in names:
            raise ValueError(f"calibration.segment: no field {segment!r}{_suggest(segment, names)}")
        if self.fields[names.index(segment)].kind == "multi":
            raise ValueError(f"calibration.segment: field {segment!r} has several values a row; name one that has one")

    def _check_evaluation(self, names: Sequence[str]) -> None:
        told = self.evaluation
        by = [(option, name) for option in ("auc_by", "slices") for name in getattr(told, option)]
        for option, name in [("cluster", told.cluster), *by]:
            if name is None:
                continue
            if name not in names:
                raise ValueError(f"evaluation.{option}: no field {name!r}{_suggest(name, names)}")
            if (kind := self.fields[names.index(name)].kind) != "categorical":
                raise ValueError(f"evaluation.{option}: field {name!r} is {kind}; expected a categorical field")

    def _check_columns(self) -> None:
        source = self.source
        labels = source.label_columns
        used = {f"label{number or ''}": column for number, column in enumerate(labels)} | {"id": source.id_column}
        used |= {f"time{number or ''}": column for number, column in enumerate(source.time_columns)}
        used |= {f"field {field.name}": field.column for field in self.fields}
        alternatives = {f"field {field.name}": column for field in self.fields for column in field.alternatives}
        named = {f"columns[{number}]": column for number, column in enumerate(source.columns)}
        for what, column in [*named.items(), *used.items(), *alternatives.items()]:
            if column and (fault := source.fault_of(column)):
                raise ValueError(f"{what}: column {column!r}: {fault}")
        if alternatives and source.kind in {"delimited", "ipinyou_raw"} and not source.header:
            raise ValueError(f"{min(alternatives)}: several columns to choose from need files that name theirs")
        read_by = [(field.name, column) for field in self.fields for column in (field.column, *field.alternatives)]
        for label in labels:
            leaking = [name for name, column in read_by if source.stored(column) == source.stored(label)]
            if leaking:
                raise ValueError(f"field {leaking[0]!r} reads the label column {label!r}; remove it")
        self._check_known(used)
        self._check_click_columns()

    def _check_click_columns(self) -> None:
        if self.source.clicks is None:
            return
        clicks = self.source.of_clicks
        known = clicks.known_columns
        for column in (clicks.id_column or "", *clicks.time_columns):
            if fault := clicks.fault_of(column):
                raise ValueError(f"click_files: column {column!r}: {fault}")
            if known and clicks.stored(column) not in known:
                raise ValueError(f"click_files: no column {column!r} in `columns`{_suggest(column, known)}")

    def _check_known(self, used: Mapping[str, str | None]) -> None:
        """Columns that are read are among those that the source lists, if it does."""
        source = self.source
        known = source.known_columns
        derived = {"hour_of_day", "weekday"} if self.source.time_column else set()
        for what, column in used.items() if known else ():
            if column and self.source.stored(column) not in known | derived:
                raise ValueError(f"{what}: no column {column!r} in the source{_suggest(column, known | derived)}")

    def patterns(self, kind: str) -> tuple[str, ...]:
        """Where the raw files of a kind (logs, clicks, requests) lie.

        Raises:
            ConfigError: the configuration does not say it.
        """
        found = patterns_of(getattr(self.source, kind))
        if not found:
            raise ConfigError(f"{self.path}: source.{kind}: needed here; say where the {kind} of a day lie")
        return found

    @property
    def patience_hours(self) -> float:
        """Hours after the end of a day in UTC for which its raw files are waited for, wherever the day itself ends."""
        return self.arrival.patience_hours + hours_behind(self.source.time_zone)

    def resolve(self, path: str) -> str:
        """A path of the configuration: URLs as they are, folders relative to the configuration file."""
        return located(path, self.path.parent)

    @cached_property
    def store_root(self) -> str:
        """Folder or URL of the store."""
        return self.resolve(self.store.root)


def located(path: str, base: Path) -> str:
    """A path with its folders, relative to `base`, resolved; a URL as it is."""
    return path if "://" in path else str((base / path).resolve())


def embedded_folder(folder: str | None, store_root: str, base: Path) -> str | None:
    """Where the embedded server has its data: `folder`, relative to `base`, or beside a local store, or nowhere."""
    if folder:
        return located(folder, base)
    return None if "://" in store_root else str(Path(store_root).parent / "postgres")


def split_pattern(pattern: str) -> tuple[str, list[str], str]:
    """The fixed folder of a pattern of raw files, the parts below it, and a URL's options (`?region=...`)."""
    options = _URL_OPTIONS.search(pattern) if "://" in pattern else None
    query = options.group() if options else ""
    parts = pattern.removesuffix(query).split("/")
    moving = (i for i, part in enumerate(parts) if _WILDCARD.search(part) or DAY_PATTERN.search(part))
    first = next(moving, len(parts) - 1)
    return "/".join(parts[:first]) or ("/" if pattern.startswith("/") else "."), parts[first:], query


def patterns_of(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """One pattern, several or none, as an option gives them."""
    return (given,) if isinstance(given, str) else tuple(given or ())


class Placed(NamedTuple):
    """Patterns of raw files below one folder.

    Attributes:
        folder: the fixed folder of a single pattern, or the one that the fixed folders of several have in common: a
            local path or a URL without options.
        below: of each pattern, the parts of its path below the folder.
        query: the options of the URL, as written.
    """

    folder: str
    below: list[list[str]]
    query: str


def placed(patterns: Sequence[str], base: Path) -> Placed:
    """Where the files of patterns lie; relative ones start from `base`.

    >>> placed(["s3://logs/web/{day}/*", "s3://logs/app/{day}/*"], Path()).below
    [['web', '{day}', '*'], ['app', '{day}', '*']]
    """
    split = [split_pattern(pattern) for pattern in patterns]
    query = split[0][2]
    if len(split) == 1:
        return Placed(located(split[0][0], base), [split[0][1]], query)
    folders = [_folders_of(folder, base) for folder, _, _ in split]
    alike = takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False))
    common = [names[0] for names in alike]
    own = [[glob.escape(folder) for folder in each[len(common) :]] for each in folders]
    return Placed("/".join(common) or "/", [[*a, *parts] for a, (_, parts, _) in zip(own, split, strict=True)], query)


def _folders_of(folder: str, base: Path) -> list[str]:
    """The parts of a path or URL; links stay as they are, so that it does not matter where they lead."""
    whole = folder if "://" in folder else os.path.abspath(base / folder)
    return whole.rstrip("/").split("/")


def _store_of(pattern: str) -> tuple[str, str]:
    """What patterns of one list have in common: the bucket of a URL and its options, or nothing."""
    folder, _, query = split_pattern(pattern)
    return ("/".join(folder.split("/")[:3]), query) if "://" in pattern else ("", "")


def load_config(path: str | Path) -> Config:
    """Read and check a pipeline's TOML file.

    Raises:
        ConfigError: naming the file, the key, the value and what is allowed.
    """
    path = Path(path).resolve()
    raw = read_toml(path)
    preset = raw.get("source", {}).get("preset") if isinstance(raw.get("source"), dict) else None
    if preset is not None:
        raw = _with_preset(raw, str(preset), path)
    try:
        return Config.model_validate({**raw, "path": path})
    except ValidationError as error:
        raise ConfigError(explain(path, error, Config, raw)) from None


def checked_model(name: str, options: Mapping[str, Any]) -> ModelConfig:
    """A model by name with options that came one by one, as on a command line.

    Raises:
        ConfigError: naming the option, the value and what is allowed.
    """
    try:
        return ModelConfig.model_validate({"name": name, **options})
    except ValidationError as error:
        raise ConfigError("\n".join(_explained(error, ModelConfig, {"name": name, **options}, "model"))) from None


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, not yet checked.

    Raises:
        ConfigError: no such file, none that can be read, or not TOML.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin a file with a mark
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file; ready ones are in conf/") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; expected a TOML file") from None
    if "path" in raw:
        raise ConfigError(f"{path}: path: unknown key; the configuration's path is where the file lies")
    if (large := _large_integer(raw)) is not None:
        raise ConfigError(f"{path}: not valid TOML: the integer {_shown(large)} has more than 64 bits")
    return raw


def _large_integer(value: Any) -> int | None:
    """An integer within a value that is beyond what TOML has."""
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**63 else value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return next((found for each in inner if (found := _large_integer(each)) is not None), None)


def _with_preset(raw: dict[str, Any], preset: str, path: Path) -> dict[str, Any]:
    known = sorted(file.stem for file in PRESETS.glob("*.toml"))
    if preset not in known:
        raise ConfigError(
            f"{path}: source.preset: no preset {preset!r}{_suggest(preset, known)}; there are {', '.join(known)}"
        )
    base = tomllib.loads((PRESETS / f"{preset}.toml").read_text(encoding="utf-8"))
    return {**base, **raw, "source": {**base["source"], **raw["source"]}}


def explain(path: Path, error: ValidationError, root: type[Section], raw: Mapping[str, Any], where: str = "") -> str:
    """What is wrong with tables `raw`, checked as `root`: a line for each key, with what is allowed.

    Args:
        path: The file that they are from.
        error: What was found.
        root: What they were checked as.
        raw: The tables as they were written.
        where: The place of these tables in the file; none if they are all of it.
    """
    return "\n".join(f"{path}: {line}" for line in _explained(error, root, raw, where))


def _explained(error: ValidationError, root: type[Section], raw: Mapping[str, Any], prefix: str = "") -> list[str]:
    """One line for each key that is wrong; of the ways in which a value fits none of several types, the last."""
    lines: dict[str, str] = {}
    for item in _first_errors(error.errors(), root):
        location = _written(item["loc"], raw, item["type"] == "missing")
        key = ".".join(map(str, [prefix, *location] if prefix else location)) or "configuration"
        lines[key] = _what_is_wrong(item, str(location[-1]) if location else "", root)
    return [f"{key}: {text}" for key, text in lines.items()]


def _first_errors(errors: Sequence[Any], root: type[Section]) -> list[Any]:
    """The errors without those that follow from another: a key misspelt and so missing, a list short of bad items."""
    meant = {
        (*item["loc"][:-1], close[0])
        for item in errors
        if item["type"] == "extra_forbidden"
        and (close := _close(str(item["loc"][-1]), _keys_at(item["loc"][:-1], root)))
    }
    within = {item["loc"][:end] for item in errors for end in range(len(item["loc"]))}
    follows = {"missing": meant, "too_short": within}
    return [item for item in errors if item["loc"] not in follows.get(item["type"], ())]


def _written(location: Sequence[Any], raw: Any, lacks: bool) -> list[Any]:
    """The keys of a location that the file has, and the last if it lacks it: without pydantic's names of types."""
    found: list[Any] = []
    for number, part in enumerate(location):
        table, items = isinstance(raw, Mapping), isinstance(raw, list | tuple) and isinstance(part, int)
        if (table and part in raw) or (items and part < len(raw)):
            found.append(part)
            raw = raw[part]
        elif lacks and number == len(location) - 1:
            found.append(part)
    return found


def _what_is_wrong(item: Any, key: str, root: type[Section]) -> str:
    if item["type"] == "extra_forbidden":
        allowed = _keys_at(item["loc"][:-1], root)
        return f"unknown key{_suggest(key, allowed)}; allowed here: {', '.join(allowed)}"
    if item["type"] == "missing":
        return "required but missing"
    shown = "" if isinstance(item["input"], Mapping) else f" (received {_shown(item['input'])})"
    message = item["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")
    return f"{message}{shown}"


def _shown(value: Any) -> str:
    """A value as text of bounded length, without what may be a password."""
    text = re.sub(r"://.*@", "://...@", repr(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"


def _keys_at(location: tuple[Any, ...], root: type[Section]) -> list[str]:
    """The keys allowed in the table at this place of the configuration."""
    kinds: dict[str, type[Section]] = {"categorical": CategoricalField, "numeric": NumericField, "multi": MultiField}
    section: type[BaseModel] = root
    for part in location:
        if part in kinds:
            section = kinds[part]
        elif isinstance(part, str) and part in section.model_fields:
            inner = _section_of(section.model_fields[part].annotation)
            section = inner or section
    return sorted(set(section.model_fields) - {"path"})


def _section_of(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for a in typing.get_args(annotation) if (found := _section_of(a))), None)


def _suggest(word: str, known: typing.Iterable[str]) -> str:
    close = _close(word, known)
    return f", did you mean {close[0]!r}?" if close else ""


def _close(word: str, known: typing.Iterable[str]) -> list[str]:
    """The one that a misspelt word may be, or none."""
    return difflib.get_close_matches(word, list(known), n=1)


DAY_PATTERN = re.compile(r"\{(" + "|".join(DAY_FORMS) + r")\}")


def names_day(pattern: str) -> bool:
    """Whether a pattern is another one each day, and not just each month or year."""
    forms = set(DAY_PATTERN.findall(pattern))
    return bool(forms & {"day", "yyyymmdd", "yymmdd"}) or {"yyyy", "mm", "dd"} <= forms


def day_path(pattern: str, day: datetime.date) -> str:
    """The pattern with its day filled in, and for its hours a wildcard."""
    year, month, date = day.isoformat().split("-")
    forms = {"day": day.isoformat(), "yyyymmdd": year + month + date, "yymmdd": year[2:] + month + date}
    forms |= {"yyyy": year, "mm": month, "dd": date, "hh": "[0-2][0-9]"}
    return DAY_PATTERN.sub(lambda match: forms[match.group(1)], pattern)
