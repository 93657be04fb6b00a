"""Log files of every kind as blocks of numbered texts whose columns have names."""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pnn_gluon.config import SourceConfig
from pnn_gluon.data.cutter_library import instruction_set
from pnn_gluon.data.file_content import START_BYTES, content_of
from pnn_gluon.data.lines import (
    MAX_LINE_BYTES,
    REJECTED,
    WHOLE,
    Digests,
    LineBlock,
    Span,
    line_block,
    read_lines,
    read_pieces,
)
from pnn_gluon.data.orc_file import OrcFile
from pnn_gluon.data.parquet_text import TOO_LARGE, ColumnText, as_text, has_zone, is_time
from pnn_gluon.data.path_columns import tells
from pnn_gluon.data.raw_files import RawFile, open_stored
from pnn_gluon.data.records import RecordForm, first_record, read_records
from pnn_gluon.errors import InputError

SLICE_ROWS = 8192
"""Rows of the pieces that an engine's threads take from a block one by one."""

_TOGETHER = 4
"""Blocks that native code cuts at once, for which they are but bytes, in favour of whole row groups."""

PARQUET_ROWS = 65536
TableKind: TypeAlias = Literal["parquet", "orc"]
"""Kinds of files that hold columns with types."""

_WIDE, _WIDE_COLUMNS = 2, 64
"""A line of more columns than 2 times the expected ones and 64 is set aside before it is taken apart."""
_CELLS = pa.list_(pa.string())
_UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What Arrow raises at a file that it cannot read; the last for a name of a column that is not UTF-8."""

_NO_REJECTS = pa.RecordBatch.from_pylist([], REJECTED)


@dataclass(frozen=True)
class Wanted:
    """The columns that a reading of the logs needs.

    Attributes:
        used: columns that are read, in any order.
        declared: every column of a file in order, as configured; empty when the files say it.
        optional: columns that may be there or not (in requests the label, and all that no field and no id needs).
        separators: what joins the values of a list in a Parquet file, by column.
        numbers: columns that are read as numbers only.
        alternatives: for columns that may be called otherwise in a file, these names, the first that is there counts.
        path: columns that the path of a file tells.
    """

    used: tuple[str, ...]
    declared: tuple[str, ...]
    optional: frozenset[str]
    separators: Mapping[str, str]
    numbers: frozenset[str]
    alternatives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    path: tuple[str, ...] = ()

    def named(self, name: str, found: Collection[str]) -> str | None:
        """What a column is called in a file with these columns; None where it has none of its names."""
        return next((each for each in (name, *self.alternatives.get(name, ())) if each in found), None)


class LogBlock(NamedTuple):
    """Neighbouring lines of a log.

    Attributes:
        lines: table of file, line, text and, for lines with quotes, cells; or the columns of a Parquet file.
        rejected: record batch of line, reason, text.
        passed: lines that are neither, such as comments.
    """

    lines: Any
    rejected: Any
    passed: int = 0

    @property
    def size(self) -> int:
        """Lines, good and bad."""
        return int(self.lines.num_rows + self.rejected.num_rows)


class TextBlock:
    """Neighbouring lines of a delimited log as bytes; what a `LogBlock` has is made when it is asked for.

    Attributes:
        log: where they are from.
        data: the lines, the last one's end included.
        first: number of the first line.
        headers: how many of the lines, at the beginning, are no rows.
    """

    def __init__(self, log: "DelimitedLog", data: bytes, first: int) -> None:
        self.log, self.data, self.first = log, data, first
        self.headers = log.headers if first == 1 else 0

    @property
    def lines(self) -> Any:
        """As of a `LogBlock`."""
        return self._cut.lines

    @property
    def rejected(self) -> Any:
        """As of a `LogBlock`."""
        return self._cut.rejected

    @property
    def size(self) -> int:
        """Lines, good and bad."""
        return self._cut.size

    @cached_property
    def _cut(self) -> LogBlock:
        return self.log.cut(self.data, self.first)


@dataclass(frozen=True)
class DelimitedLog:
    """A text file of lines whose columns are set apart by one character.

    Attributes:
        raw: the file.
        columns: names in order.
        quote: the character that encloses columns, or nothing.
        delimiter: the character between columns.
        headers: lines before the first row, 0 or 1.
    """

    raw: RawFile
    columns: tuple[str, ...]
    delimiter: str
    quote: str
    headers: int

    form = "delimited"
    times: frozenset[str] = frozenset()
    moments: frozenset[str] = frozenset()

    def blocks(self, span: Span = WHOLE, digests: Digests | None = None) -> Iterator[TextBlock]:
        """The lines below the header, or some of them; `digests` is as for `read_pieces`."""
        together = _TOGETHER if instruction_set() else 1
        for data, first in read_pieces(self.raw, span=span, together=together, digests=digests):
            yield TextBlock(self, data, first)

    def cut(self, data: bytes, first: int) -> LogBlock:
        """The lines of a piece of the file, which is numbered from `first`, without the header."""
        lines, rejected = line_block(data, first)
        if self.headers and lines.num_rows and lines["line"][0].as_py() == 1:
            lines = lines.slice(1)
        lines, wide = self._without_wide(lines)
        rejected = pa.Table.from_batches([rejected, *wide]).combine_chunks() if wide else rejected
        return LogBlock(_sliced(self._with_cells(lines), self.raw.name), rejected)

    def _without_wide(self, lines: Any) -> tuple[Any, list[Any]]:
        """The lines that are worth taking apart, and those that have far more columns than expected."""
        widths = pc.add(pc.count_substring(lines["text"], self.delimiter), 1)
        limit = _WIDE * len(self.columns) + _WIDE_COLUMNS
        wide = pc.greater(widths, limit)
        if self.quote:
            wide = pc.and_(wide, pc.invert(pc.match_substring(lines["text"], self.quote)))
        if not pc.any(wide).as_py():
            return lines, []
        reasons = [f"{width} columns, expected {len(self.columns)}" for width in widths.filter(wide).to_pylist()]
        chosen = lines.filter(wide)
        rejected = pa.record_batch([chosen["line"], pa.array(reasons, pa.string()), chosen["text"]], schema=REJECTED)
        return lines.filter(pc.invert(wide)), [rejected]

    def _with_cells(self, lines: Any) -> Any:
        if not self.quote:
            return lines
        limit = _WIDE * len(self.columns) + _WIDE_COLUMNS
        return lines.append_column("cells", _quoted_cells(lines["text"], self.delimiter, self.quote, limit))


@dataclass(frozen=True)
class RecordLog:
    """A text file of records that need more than to cut lines at newlines and between delimiters.

    Attributes:
        raw: the file.
        columns: names in order.
        records: how they are written.
        header: the number of the record with the names of the columns; 0 for none.
    """

    raw: RawFile
    columns: tuple[str, ...]
    records: RecordForm
    header: int = 0

    form = "delimited"
    times: frozenset[str] = frozenset()
    moments: frozenset[str] = frozenset()

    @property
    def headers(self) -> int:
        """Records before the first row, 0 or 1."""
        return int(self.header > 0)

    def blocks(self) -> Iterator[LogBlock]:
        """The records but the header."""
        limit = _WIDE * len(self.columns) + _WIDE_COLUMNS
        for lines, rejected, passed in read_records(self.raw, self.records, limit):
            rows = lines.filter(pc.not_equal(lines["line"], self.header)) if self.header else lines
            yield LogBlock(_sliced(rows, self.raw.name), rejected, passed)


@dataclass(frozen=True)
class ParquetLog:
    """A Parquet or ORC file; a line is a row, numbered from 1, and its text is its used columns joined by tabs.

    Attributes:
        raw: the file.
        columns: names of its columns, in lower case.
        wanted: the columns to read.
        times: the columns of a time type, whose text has the form `parquet_text.TIME_FORMAT`.
        moments: those of them that have a zone.
        kind: whether it is Parquet or ORC.
    """

    raw: RawFile
    columns: tuple[str, ...]
    wanted: Wanted
    times: frozenset[str]
    moments: frozenset[str]
    kind: TableKind = "parquet"

    form = "parquet"
    headers = 0

    def blocks(self) -> Iterator[LogBlock]:
        """The rows."""
        first = 1
        with _open_table(self.raw, self.kind) as file:
            stored = {name.strip().lower(): name for name in file.schema_arrow.names}
            names = {name: self.wanted.named(name, stored) for name in self.wanted.used}
            used = {name: there for name, there in names.items() if there is not None}
            for batch in self._batches(file, [stored[there] for there in dict.fromkeys(used.values())]):
                columns = {there: self._text_of(batch, name, stored[there]) for name, there in used.items()}
                yield self._block(columns, batch.num_rows, first)
                first += batch.num_rows
            if first - 1 != file.metadata.num_rows:
                raise InputError(
                    f"{self.raw.path}: damaged: {first - 1:,} rows, and it tells of {file.metadata.num_rows:,}; "
                    "deliver it again"
                )

    def _batches(self, file: Any, names: list[str]) -> Iterator[Any]:
        try:
            yield from file.iter_batches(PARQUET_ROWS, columns=names)
        except _UNREADABLE as error:
            fixed = [name for name in names if pa.types.is_fixed_size_list(file.schema_arrow.field(name).type)]
            advice = (
                f"deliver it again, or write {', '.join(fixed)} as lists of any size" if fixed else "deliver it again"
            )
            raise InputError(f"{self.raw.path}: damaged, or not readable by Arrow: {error}; {advice}") from error

    def _text_of(self, batch: Any, name: str, stored: str) -> ColumnText:
        separator = self.wanted.separators.get(name, "|")
        text = as_text(batch.column(stored), f"{self.raw.path}: column {name}", separator)
        if name not in self.wanted.numbers:
            return text
        return ColumnText(text.texts, tuple(fault for fault in text.faults if fault[1] != TOO_LARGE))

    def _block(self, columns: dict[str, ColumnText], rows: int, first: int) -> LogBlock:
        """The rows whose values all have a text; the others with their first reason."""
        lines = _numbered({self.columns.index(name) + 1: column.texts for name, column in columns.items()}, first)
        reasons = pa.nulls(rows, pa.string())
        for name, column in columns.items():
            for bad, reason in column.faults:
                reasons = pc.if_else(pc.and_(bad, pc.is_null(reasons)), f"{name}: {reason}", reasons)
        if reasons.null_count == rows:
            return LogBlock(_sliced(lines, self.raw.name), _NO_REJECTS)
        bad = pc.is_valid(reasons)
        chosen = [lines["line"].filter(bad), reasons.filter(bad), lines["text"].filter(bad)]
        rejected = pa.record_batch(chosen, schema=REJECTED)
        return LogBlock(_sliced(lines.filter(pc.invert(bad)), self.raw.name), rejected)


@dataclass(frozen=True)
class JsonLog:
    """A text file with an object of JSON in each line.

    Attributes:
        raw: the file.
        columns: paths of the values to read.
    """

    raw: RawFile
    columns: tuple[str, ...]

    form = "json"
    headers = 0
    times: frozenset[str] = frozenset()
    moments: frozenset[str] = frozenset()

    def blocks(self, span: Span = WHOLE, digests: Digests | None = None) -> Iterator[LogBlock]:
        """The lines, or some of them; `digests` is as for `read_pieces`."""
        for lines, rejected in read_lines(self.raw, span=span, digests=digests):
            yield LogBlock(_sliced(lines, self.raw.name), rejected)


Log = DelimitedLog | RecordLog | ParquetLog | JsonLog
Block = LogBlock | TextBlock


def open_log(source: SourceConfig, raw: RawFile, wanted: Wanted) -> Log:
    """The log in a file, its columns checked.

    Raises:
        InputError: the file's columns are not those that are needed, naming the differences.
    """
    if source.kind == "parquet" or source.kind == "orc":
        with _open_table(raw, source.kind) as file:
            types = {field.name.strip().lower(): field.type for field in file.schema_arrow}
            names = tuple(name.strip().lower() for name in file.schema_arrow.names)
        _check_columns(raw, names, wanted)
        times = frozenset(name for name in types if is_time(types[name]))
        return ParquetLog(
            raw, names, wanted, times, frozenset(name for name in times if has_zone(types[name])), source.kind
        )
    if source.kind == "json":
        return JsonLog(raw, wanted.used)
    if records := record_form(source):
        return _record_log(source, raw, wanted, records)
    if not source.header:
        return DelimitedLog(raw, wanted.declared, source.delimiter, source.quote, 0)
    header = _header(raw, source.delimiter, source.quote)
    if header is None:
        return DelimitedLog(raw, wanted.used, source.delimiter, source.quote, 0)
    _check_columns(raw, header, wanted)
    return DelimitedLog(raw, header, source.delimiter, source.quote, 1)


def record_form(source: SourceConfig) -> RecordForm | None:
    """How the records of a delimited source are written; None where lines and delimiters say all."""
    form = RecordForm(
        delimiter=source.delimiter,
        quote=source.quote,
        escape=source.escape,
        newlines=source.quoted_newlines,
        comment=source.comment,
        encoding=source.encoding,
        kept=frozenset(text for text in source.missing if source.escape and source.escape in text),
    )
    plain = len(source.delimiter) == 1 or not source.quote
    return None if plain and form == RecordForm(source.delimiter, source.quote) else form


def _record_log(source: SourceConfig, raw: RawFile, wanted: Wanted, records: RecordForm) -> RecordLog:
    if not source.header:
        return RecordLog(raw, wanted.declared, records)
    first = first_record(raw, records)
    if first is None:
        return RecordLog(raw, wanted.used, records)
    number, cells = first
    header = tuple(name.strip().lower() for name in cells)
    _check_columns(raw, header, wanted)
    return RecordLog(raw, header, records, number)


def _open_table(raw: RawFile, kind: TableKind) -> Any:
    stored = open_stored(raw)
    try:
        file = OrcFile(stored) if kind == "orc" else pq.ParquetFile(stored, page_checksum_verification=True)
        _ = file.schema_arrow.names
        return file
    except _UNREADABLE as error:
        name = "ORC" if kind == "orc" else "Parquet"
        raise InputError(
            f"{raw.path}: not a whole {name} file: {_said(raw, name) or error}; deliver it again"
        ) from error


def _said(raw: RawFile, name: str) -> str:
    """What a file holds that is not what it should be, where its first bytes tell."""
    with open_stored(raw) as stream:
        content = content_of(stream.read(START_BYTES))
    return f"it holds {content}" if content not in (None, name) else ""


def _header(raw: RawFile, delimiter: str, quote: str) -> tuple[str, ...] | None:
    """Column names of the first line, in lower case; None for an empty file."""
    block: LineBlock | None = next(read_lines(raw, 1 << 16), None)
    if block is None:
        return None
    if not block.lines.num_rows or block.lines["line"][0].as_py() != 1:
        raise InputError(f"{raw.path}: line 1: expected column names, received {block.rejected['text'][0]}")
    text = block.lines["text"][0].as_py()
    names = split_quoted(text, delimiter, quote) if quote and quote in text else text.split(delimiter)
    return tuple(name.strip().lower() for name in names)


def _check_columns(raw: RawFile, found: Sequence[str], wanted: Wanted) -> None:
    """Compare a file's columns with those needed: all the declared ones in any order, or the used ones."""
    needed = set(wanted.declared or wanted.used) - wanted.optional
    allowed = needed | wanted.optional if wanted.declared else set(found)
    other_names = {wanted.named(name, found) for name in wanted.alternatives}
    differences = {
        "missing": sorted(name for name in needed if wanted.named(name, found) is None),
        "unexpected": sorted(set(found) - allowed - other_names),
        "there twice": sorted({name for name in found if found.count(name) > 1}),
    }
    said = "; ".join(f"{what}: {', '.join(map(repr, names))}" for what, names in differences.items() if names)
    if said:
        advice = "".join(_advice_on(raw, found, name) for name in differences["missing"])
        raise InputError(
            f"{raw.path}: its columns are not those of [source] and [[fields]]: {said}; correct `columns`, or the "
            f"file{advice}"
        )


def _advice_on(raw: RawFile, found: Sequence[str], missing: str) -> str:
    """Where a column may be that is not among those of the file."""
    if tells(raw, missing):
        return f"; a folder is called {missing}=..., which `path_columns` reads"
    outer, dot, _ = missing.partition(".")
    if dot and outer in found:
        return f"; parts of {outer!r} are not read, write them as columns"
    return (
        f'; where files call a field\'s {missing} otherwise, list both names: column = ["{missing}", "its other name"]'
    )


def split_quoted(text: str, delimiter: str, quote: str) -> list[str]:
    """The columns of a line with quotes; none at all when its quotes don't match."""
    if "\r" in text:  # which csv takes for the end of the line
        return RecordForm(delimiter, quote).split(text).cells or []
    csv.field_size_limit(MAX_LINE_BYTES)
    try:
        return next(csv.reader([text], delimiter=delimiter, quotechar=quote, strict=True), [])
    except csv.Error:
        return []


def _quoted_cells(texts: Any, delimiter: str, quote: str, limit: int) -> Any:
    """The columns of the lines that hold a quote, at most `limit` of each; null for all others."""
    chosen = pc.match_substring(texts, quote).to_numpy(zero_copy_only=False)
    rows = [split_quoted(text, delimiter, quote)[:limit] for text in texts.filter(pa.array(chosen)).to_pylist()]
    offsets = np.zeros(len(chosen) + 1, np.int32)
    offsets[1:][chosen] = [len(row) for row in rows]
    cells = pa.array([cell for row in rows for cell in row], pa.string())
    return pa.ListArray.from_arrays(pa.array(np.cumsum(offsets, dtype=np.int32)), cells, _CELLS, mask=pa.array(~chosen))


def _numbered(columns: dict[int, Any], first: int) -> Any:
    """Rows with their numbers and texts; a column is named after its place, since its own name may be anything."""
    arrays = list(columns.values())
    text = pc.binary_join_element_wise(*arrays, "\t", null_handling="replace", null_replacement="")
    numbers = pa.array(np.arange(first, first + len(text)))
    return pa.record_batch([numbers, text, *arrays], names=["line", "text", *(f"column_{place}" for place in columns)])


def _sliced(lines: Any, name: str) -> Any:
    """A table of the lines and their file, in pieces."""
    batch = lines.add_column(0, "file", pa.repeat(name, lines.num_rows))
    cuts = [*range(0, batch.num_rows, SLICE_ROWS), batch.num_rows]
    return pa.Table.from_batches([batch.slice(a, b - a) for a, b in pairwise(cuts)], batch.schema)
