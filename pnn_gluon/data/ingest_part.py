"""The rows and rejects of a part of a day's raw lines: a pure function of its files, run by any process."""

import datetime
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pnn_gluon.config import EngineConfig, Fields, SourceConfig
from pnn_gluon.data.lines import SHOWN_CHARACTERS, Digests
from pnn_gluon.data.log_files import Block, Log, LogBlock, TextBlock
from pnn_gluon.data.pieces import Piece
from pnn_gluon.data.row_cutter import CutLines, row_cutter
from pnn_gluon.data.row_statement import Stream, row_schema, rows_statement
from pnn_gluon.store.parts import part_path
from pnn_gluon.store.tables import TableWriter, compacted
from pnn_gluon.time_zones import UTC, clocks
from pnn_gluon.warehouse.duckdb_engine import connect, parquet, statement

REJECT_SCHEMA = pa.schema([("file", pa.string()), ("line", pa.int64()), ("reason", pa.string()), ("text", pa.string())])
CLICK_SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("file", pa.string()),
        ("line", pa.int64()),
        ("its_day", pa.date32()),
        ("moment", pa.timestamp("us")),
        ("text", pa.string()),
    ]
)
MET_SCHEMA = pa.schema([("row_id", pa.string()), ("moment", pa.timestamp("us"))])
_REASON, _TEXT, _DAY, _MOMENT = "its reason", "its text", "its day", "its moment"


@dataclass(frozen=True)
class RawLines:
    """Raw lines as configured: where they lie, how they are read, and the fields that they have.

    Attributes:
        source: the files and their form.
        fields: what rows are made of.
        base: folder that relative paths of the source start from.
        hashed: whether text files that are not compressed are hashed while they are read.
    """

    source: SourceConfig
    fields: Fields
    base: Path
    hashed: bool = False


@dataclass(frozen=True)
class Targets:
    """Parquet files to write: the good lines as typed rows, in one file or more, and the others with their reason.

    Attributes:
        rows: the first file of rows; the others are named after it, see `pnn_gluon.store.parts`.
        rejects: the file of rejects.
        parts: what tells which raw files were read together, where there are several such and it is wanted.
    """

    rows: Path
    rejects: Path
    parts: Path | None = None


@dataclass(frozen=True)
class IngestPart:
    """A part of a day's raw lines, and what becomes of it.

    Attributes:
        raw: how lines are read.
        day: the day.
        stream: which lines they are.
        pieces: the files or pieces of files, in order.
        part_lines: most lines of a part file.
        targets: where rows and rejects go.
        clicks: file with the row ids of clicks, where they lie in files of their own.
    """

    raw: RawLines
    day: datetime.date
    stream: Stream
    pieces: tuple[Piece, ...]
    part_lines: int
    targets: Targets
    clicks: Path | None

    @property
    def folder(self) -> Path:
        """Where its files go."""
        return self.targets.rows.parent

    @property
    def met(self) -> Path | None:
        """File for the ids and moments of rows that a click has the id of, where clicks count for some hours only."""
        timed = self.clicks is not None and self.raw.source.attribution_hours is not None
        return self.folder / "met.parquet" if timed else None

    def within(self, folder: Path) -> Self:
        """The same part with its files in another folder."""
        targets = Targets(folder / self.targets.rows.name, folder / self.targets.rejects.name)
        return replace(self, targets=targets)


@dataclass(frozen=True)
class LineCounts:
    """What was read: lines but headers, headers, lines of other days; and the SHA-256 of files that were hashed."""

    lines: int
    headers: int
    other_days: int
    digests: Digests = field(default_factory=dict)


def ingest_part(engine: EngineConfig, part: IngestPart) -> LineCounts:
    """Write the part files of the good lines, and the rejects in the order in which they were met.

    Raises:
        InputError: a file is damaged.
    """
    schema = row_schema(part.raw.fields, part.stream.kind == "logs", part.raw.source.weighted)
    with ExitStack() as opened:
        connection = opened.enter_context(connect(engine))
        rejects = opened.enter_context(TableWriter(part.targets.rejects, schema=REJECT_SCHEMA))
        if part.clicks is not None:
            connection.execute(f"create temp view clicks as from {parquet(part.clicks)}")
        reader = LineReader(connection, part.raw, part.day, lambda table: write_table(rejects, table))
        files = opened.enter_context(_PartFiles(part.targets.rows, schema, part.part_lines))
        met = opened.enter_context(TableWriter(part.met, schema=MET_SCHEMA)) if part.met else None

        def write(table: Any) -> None:
            files.write(table)
            if met is not None:
                write_table(met, _met(table))

        for piece in part.pieces:
            reader.read(part.stream, piece, write)
            files.end_of_file(reader.lines + reader.headers + reader.passed)
    return LineCounts(reader.lines, reader.headers, reader.other_days, reader.digests)


def read_clicks(engine: EngineConfig, part: IngestPart) -> LineCounts:
    """Write the good click lines to the file of rows: row_id, file, line, its_day and moment (where told), text."""
    with (
        connect(engine) as connection,
        TableWriter(part.targets.rejects, schema=REJECT_SCHEMA) as rejects,
        TableWriter(part.targets.rows, schema=CLICK_SCHEMA) as clicks,
    ):
        days = math.ceil((part.stream.hours or 0) / 24)
        reader = LineReader(connection, part.raw, part.day, lambda table: write_table(rejects, table), days)
        for piece in part.pieces:
            reader.read(part.stream, piece, lambda table: write_table(clicks, _click_table(table)))
    return LineCounts(reader.lines, reader.headers, reader.other_days)


def _click_table(table: Any) -> Any:
    for name, kind in ((_DAY, pa.date32()), (_MOMENT, pa.timestamp("us"))):
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, kind))
    chosen = table.select(["row_id", "file", "line", _DAY, _MOMENT, _TEXT])
    return chosen.rename_columns(CLICK_SCHEMA.names).cast(CLICK_SCHEMA)


def _met(table: Any) -> Any:
    """The ids and moments of the rows that a click has the id of."""
    found = table.filter(table[_MOMENT].is_valid()).select(["row_id", _MOMENT])
    return found.rename_columns(MET_SCHEMA.names).cast(MET_SCHEMA)


class LineReader:
    """Reads lines with one connection, and counts them.

    Args:
        connection: what types the lines.
        raw: how they are read.
        day: the day.
        reject: what becomes of tables of file, line, reason, text of bad lines.
        days: days after it in which lines may be, too.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        raw: RawLines,
        day: datetime.date,
        reject: Callable[[Any], None],
        days: int = 0,
    ) -> None:
        self._connection, self._raw, self._day, self._sink = connection, raw, day, reject
        self.lines = self.headers = self.other_days = self.passed = 0
        self.digests: Digests = {}
        if raw.source.time_zone != UTC:
            connection.execute(statement("clocks", **clocks(day, raw.source.time_zone, days)._asdict()))

    def read(self, stream: Stream, piece: Piece, sink: Callable[[Any], None]) -> None:
        """Give the good lines of a piece to `sink`, as tables of typed rows."""
        rules = (self._raw.source, self._raw.fields, stream, piece.log, self._day)
        cutter = row_cutter(*rules, self._connection)
        query = None if cutter else rows_statement(*rules)
        self.headers += piece.log.headers if piece.span.first == 1 else 0
        for block in piece.blocks(self.digests if self._raw.hashed else None):
            cut = cutter.typed(block) if cutter and isinstance(block, TextBlock) else None
            if cut is not None:
                sink(self._taken(cut))
            else:
                query = query or rows_statement(*rules)
                sink(self._good_lines(block, query, piece.log))

    def _taken(self, cut: CutLines) -> Any:
        """The typed rows of a block that native code cut; its bad lines go to the rejects."""
        self.lines += cut.size
        self.other_days += cut.other_days
        if cut.rejected.num_rows:
            self._reject(cut.rejected)
        return cut.rows

    def _good_lines(self, block: Block, query: str, log: Log) -> Any:
        """The typed rows of a block; its bad lines go to the rejects."""
        self._connection.register("lines", block.lines)
        table = self._connection.sql(query).to_arrow_table()
        self.lines += block.size
        self.passed += block.passed if isinstance(block, LogBlock) else 0
        self.other_days += block.lines.num_rows - pc.count_distinct(table["line"]).as_py()  # one may give two rows
        if block.rejected.num_rows:
            self._reject(block.rejected.add_column(0, "file", pa.repeat(log.raw.name, block.rejected.num_rows)))
        reasons = table[_REASON]
        if reasons.null_count == table.num_rows:
            return table
        bad = table.filter(reasons.is_valid())
        self._reject(bad.select(["file", "line", _REASON, _TEXT]))
        return table.filter(reasons.is_null())

    def _reject(self, table: Any) -> None:
        self._sink(reject_table(table))


def reject_table(table: Any) -> Any:
    """File, line, reason and the beginning of the text, by their names."""
    shown = pc.utf8_slice_codeunits(table.column(3), 0, SHOWN_CHARACTERS)
    named = pa.table([*(table.column(place) for place in range(3)), shown], names=REJECT_SCHEMA.names)
    return named.cast(REJECT_SCHEMA)


def write_table(writer: TableWriter, table: Any) -> None:
    """Append a table, batch by batch."""
    for batch in table.to_batches():
        writer.write(batch)


def _as_stored(table: Any, schema: Any) -> Any:
    """A table with the columns and types of a schema; texts that have a dictionary keep it."""
    table = table.select(schema.names)
    kept = [
        stored.with_type(given.type) if pa.types.is_dictionary(given.type) else stored
        for stored, given in zip(schema, table.schema, strict=True)
    ]
    return table.cast(pa.schema(kept))


def _piece(table: Any, start: int, stop: int) -> Any:
    """Some rows of a table, with the values of its dictionaries that they use."""
    batches = table.slice(start, stop - start).to_batches()
    return pa.Table.from_batches([compacted(batch) for batch in batches], table.schema)


class _PartFiles:
    """Files of rows, of which each ends after so many lines; one without a row is left out."""

    def __init__(self, path: Path, schema: Any, part_lines: int) -> None:
        self._path, self._schema, self._part_lines = path, schema, part_lines
        self._open = ExitStack()
        self._writer: TableWriter | None = None
        self._part = self._before = self._files = 0

    def end_of_file(self, lines: int) -> None:
        """From now on line 1 is the one after so many."""
        self._before = lines

    def write(self, table: Any) -> None:
        """Append rows of one file, in order."""
        table = _as_stored(table, self._schema)
        lines = table["line"].to_numpy() + self._before
        start = 0
        while start < len(lines):
            part = int(lines[start] - 1) // self._part_lines
            stop = int(np.searchsorted(lines, (part + 1) * self._part_lines, side="right"))
            self._write(part, table if stop - start == len(lines) else _piece(table, start, stop))
            start = stop

    def _write(self, part: int, table: Any) -> None:
        if part != self._part or self._writer is None:
            self._open.close()
            path = part_path(self._path, self._files)
            self._writer = self._open.enter_context(
                TableWriter(path, plain=("row_id",), rising=("line",), schema=self._schema)
            )
            self._part = part
            self._files += 1
        write_table(self._writer, table)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
