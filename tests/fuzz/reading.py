"""The raw lines of a day, read by one connection that all inputs share: what of an ingest depends on the bytes."""

import datetime
import functools
from dataclasses import dataclass
from typing import Any

from pnn_gluon.config import Config, EngineConfig, patterns_of
from pnn_gluon.data.ingest_part import LineReader, RawLines
from pnn_gluon.data.log_files import open_log
from pnn_gluon.data.pieces import Piece
from pnn_gluon.data.raw_files import list_raw_files
from pnn_gluon.data.row_statement import Stream, wanted_columns
from pnn_gluon.errors import InputError
from pnn_gluon.warehouse.duckdb_engine import connect


@dataclass(frozen=True)
class Read:
    """What became of the lines of a day.

    Attributes:
        rows: by their columns.
        rejects: line, reason and text, in the order of lines.
        lines: but headers, and those passed over.
        headers: lines before the first.
        other_days: lines that were left out.
        passed: lines that are no records.
    """

    rows: list[dict[str, Any]]
    rejects: list[tuple[int, str, str]]
    lines: int
    headers: int
    other_days: int
    passed: int

    @property
    def numbers(self) -> list[int]:
        """The lines that are rows or rejects, in order."""
        return sorted([row["line"] for row in self.rows] + [line for line, *_ in self.rejects])


@functools.cache
def _connection() -> Any:
    opened = connect(EngineConfig(threads=1, memory_limit="1GB"))
    return opened, opened.__enter__()


def read_day(config: Config, day: datetime.date) -> Read | str:
    """The rows and rejects of a day's files, or the error that was told."""
    rows: list[dict[str, Any]] = []
    rejects: list[tuple[int, str, str]] = []
    raw = RawLines(config.source, config.fields, config.path.parent)
    stream = Stream("logs", patterns_of(config.source.logs))
    _, connection = _connection()
    reader = LineReader(connection, raw, day, lambda table: rejects.extend(_told(table)))
    try:
        for file in list_raw_files(stream.patterns, day, raw.base):
            log = open_log(config.source, file, wanted_columns(config.source, config.fields, stream))
            reader.read(stream, Piece(log), lambda table: rows.extend(_typed(table)))
    except InputError as error:
        return str(error)
    return Read(rows, sorted(rejects), reader.lines, reader.headers, reader.other_days, reader.passed)


def _told(table: Any) -> list[tuple[int, str, str]]:
    return list(zip(*(table[name].to_pylist() for name in ("line", "reason", "text")), strict=True))


def _typed(table: Any) -> list[dict[str, Any]]:
    names = [name for name in table.column_names if not name.startswith("its ")]
    rows: list[dict[str, Any]] = table.select(names).to_pylist()
    return rows
