"""Raw logs or requests of a day -> typed rows, and rejects with their reasons.

rows.parquet, ordered by (file, line): `row_id` (md5 in hexadecimal), `file`, `line` (from 1), `label` (0 or 1;
absent for requests), then a column for each field: text for categorical and multi-valued fields (blanks around it
removed, NULL where it is one of `source.missing`), double for numeric ones. `hour_of_day` is 0 to 23 and `weekday`
1 (Monday) to 7, both in UTC. rejects.parquet, in the same order: `file`, `line`, `reason`, `text` (its
first 65,536 characters).

A row id is the md5 of `<preset or kind>|<id>`, or, in a source without ids, of
`<preset or kind>|<logs or requests>|<file>:<line>`. `file` is the path below the pattern's fixed folder, or below
the one that the fixed folders of several patterns have in common; in the id, without the suffix of a compression.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pnn_gluon.config import EngineConfig, Fields, SourceConfig, patterns_of
from pnn_gluon.data.lines import SHOWN_CHARACTERS
from pnn_gluon.data.log_files import Log, LogBlock, open_log
from pnn_gluon.data.raw_files import copies, list_raw_files
from pnn_gluon.data.row_statement import Stream, row_schema, rows_statement, wanted_columns
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.store.tables import GROUP_ROWS, TableWriter
from pnn_gluon.warehouse.duckdb_engine import connect, parquet, statement

_REASON, _TEXT, _DAY = "its reason", "its text", "its day"
_REJECTS = "create temp table rejects (file varchar, line bigint, reason varchar, text varchar)"
_REJECT_SCHEMA = pa.schema(
    [("file", pa.string()), ("line", pa.int64()), ("reason", pa.string()), ("text", pa.string())]
)
_CLICKS = "create temp table clicks (row_id varchar, file varchar, line bigint, its_day date, text varchar)"
_COMMONEST = 5
_SHOWN_REASONS = 100


@dataclass(frozen=True)
class IngestReport:
    """What became of every line: lines = rows + joined + rejects + other_days.

    Attributes:
        lines: lines of all files but headers.
        rows: lines that became rows.
        positives: rows with label 1.
        rejects: lines set aside.
        other_days: lines of other days in an archive of many days.
        reasons: rejects by reason, the commonest first; beyond 100 reasons, the rest as one.
        headers: header lines.
        clicks: of the lines, those of separate click files.
        joined: click lines that gave a row its label.
        conflicts: ids whose lines do not agree on the label.
    """

    lines: int
    rows: int
    positives: int
    rejects: int
    other_days: int
    reasons: dict[str, int]
    headers: int = 0
    clicks: int = 0
    joined: int = 0
    conflicts: int = 0


@dataclass(frozen=True)
class RawLines:
    """Raw lines as configured: where they lie, how they are read, and the fields that they have.

    Attributes:
        source: the files and their form.
        fields: what rows are made of.
        base: folder that relative paths of the source start from.
    """

    source: SourceConfig
    fields: Fields
    base: Path


@dataclass(frozen=True)
class Targets:
    """Parquet files to write: the good lines as typed rows, and the others with their reason."""

    rows: Path
    rejects: Path


def ingest_logs(raw: RawLines, engine: EngineConfig, day: datetime.date, targets: Targets) -> IngestReport:
    """Read the logs of a day into rows and rejects.

    Raises:
        InputError: files are missing or damaged, their columns are not the configured ones, more than
            `source.max_reject_share` of the lines are rejects, or an archive of many days has no line of this one.
    """
    clicks = Stream("clicks", (raw.source.clicks,)) if raw.source.clicks else None
    return _ingest(raw, engine, day, targets, Stream("logs", patterns_of(raw.source.logs)), clicks)


def ingest_requests(raw: RawLines, engine: EngineConfig, day: datetime.date, targets: Targets) -> IngestReport:
    """Read the requests of a day, lines like those of the logs but without a label, in the same way.

    Raises:
        ConfigError: `source.requests` is not given.
        InputError: as for logs.
    """
    if raw.source.requests is None:
        raise ConfigError("source.requests: needed; say where the requests of a day lie")
    return _ingest(raw, engine, day, targets, Stream("requests", patterns_of(raw.source.requests)), None)


def no_logs(fields: Fields, targets: Targets) -> IngestReport:
    """What is read of a day without logs: files without rows."""
    with TableWriter(targets.rows, plain=("row_id",), rising=("line",), schema=row_schema(fields, labelled=True)):
        pass
    with TableWriter(targets.rejects, plain=("text",), rising=("line",), schema=_REJECT_SCHEMA):
        pass
    return IngestReport(lines=0, rows=0, positives=0, rejects=0, other_days=0, reasons={})


def _ingest(
    raw: RawLines, engine: EngineConfig, day: datetime.date, targets: Targets, stream: Stream, clicks: Stream | None
) -> IngestReport:
    with connect(engine) as connection:
        reading = _Reading(raw, day, connection)
        if clicks:
            reading.read_clicks(clicks)
        reading.write_rows(stream, targets.rows)
        if raw.source.id_column:
            reading.settle_repeats(stream, targets.rows)
        if clicks:
            reading.settle_clicks(clicks, targets.rows)
        report = reading.report(targets.rows, labelled=stream.kind == "logs")
        _refuse_bad_day(raw.source, stream, day, report, reading.examples())
        reading.write_rejects(targets.rejects)
    return report


class _Reading:
    """One reading of a day: its connection, with the tables of rejects and clicks, and its sums."""

    def __init__(self, raw: RawLines, day: datetime.date, connection: duckdb.DuckDBPyConnection) -> None:
        self.source, self.fields, self.base = raw.source, raw.fields, raw.base
        self.day, self.connection = day, connection
        self.lines = self.headers = self.other_days = self.clicks = self.joined = self.conflicts = 0
        connection.execute(_REJECTS)
        connection.execute(_CLICKS)
        self._check_time_format()

    def _check_time_format(self) -> None:
        for form in self.source.time_forms:
            try:
                self.connection.execute("select try_time('', $1)", [form]).fetchall()
            except duckdb.Error as error:
                raise ConfigError(f"source.time_format: {form!r}: {error}") from error

    def read_clicks(self, stream: Stream) -> None:
        """Put the good click lines into the table clicks."""
        self._read(stream, lambda table: self._insert("clicks", self._click_table(table)))
        self.clicks = self.lines

    def _click_table(self, table: Any) -> Any:
        if _DAY not in table.column_names:
            table = table.append_column(_DAY, pa.nulls(table.num_rows, pa.date32()))
        return table.select(["row_id", "file", "line", _DAY, _TEXT])

    def write_rows(self, stream: Stream, path: Path) -> None:
        """Write the good lines, in order."""
        schema = row_schema(self.fields, labelled=stream.kind == "logs")
        with TableWriter(path, plain=("row_id",), rising=("line",), schema=schema) as writer:
            self._read(stream, lambda table: _write(writer, table.select(schema.names).cast(schema)))

    def _read(self, stream: Stream, sink: Callable[[Any], None]) -> None:
        logs = self._logs(stream)
        _refuse_copies(logs)
        for log in logs:
            query = rows_statement(self.source, self.fields, stream, log, self.day)
            self.headers += log.headers
            for block in log.blocks():
                sink(self._good_lines(block, query, log))

    def _logs(self, stream: Stream) -> list[Log]:
        wanted = wanted_columns(self.source, self.fields, stream)
        files = list_raw_files(stream.patterns, self.day, self.base)
        return [open_log(self.source, file, wanted) for file in files]

    def _good_lines(self, block: LogBlock, query: str, log: Log) -> Any:
        """The typed rows of a block; its bad lines go to the rejects."""
        self.connection.register("lines", block.lines)
        table = self.connection.sql(query).to_arrow_table()
        self.lines += block.size
        self.other_days += block.lines.num_rows - table.num_rows
        if block.rejected.num_rows:
            self._reject(block.rejected.add_column(0, "file", pa.repeat(log.raw.name, block.rejected.num_rows)))
        reasons = table[_REASON]
        if reasons.null_count == table.num_rows:
            return table
        bad = table.filter(reasons.is_valid())
        self._reject(bad.select(["file", "line", _REASON, _TEXT]))
        return table.filter(reasons.is_null())

    def _reject(self, table: Any) -> None:
        """Keep file, line, reason and the beginning of the text."""
        shown = pc.utf8_slice_codeunits(table.column(3), 0, SHOWN_CHARACTERS)
        self._insert("rejects", table.set_column(3, "text", shown))

    def _insert(self, name: str, table: Any) -> None:
        self.connection.register("inserted", table)
        self.connection.execute(f"insert into {name} select * from inserted")

    def settle_repeats(self, stream: Stream, path: Path) -> None:
        """Leave one row, or none, of those that share an id, as `source.on_repeat` says; set the others aside."""
        label = "label" if stream.kind == "logs" else "0"
        rule = self.source.on_repeat
        self.connection.execute(statement("ingest_repeats", rows=str(path), label=label, on_repeat=rule))
        query = "select position, file, line, verdict from repeats where verdict <> 'kept' order by position"
        changed = self.connection.sql(query).to_arrow_table()
        if not changed.num_rows:
            return
        count = "select count(distinct row_id) from repeats where conflict"
        self.conflicts = self.connection.execute(count).fetchall()[0][0]
        self.joined += pc.sum(pc.equal(changed["verdict"], "joined")).as_py()
        self._reject_repeats(stream, changed.filter(pc.equal(changed["verdict"], "repeated")))
        clicked = pc.equal(changed["verdict"], "clicked")
        whole = path.rename(path.with_name("with_repeats.parquet"))
        _copy_settled(whole, path, *(changed["position"].filter(c).to_numpy() for c in (pc.invert(clicked), clicked)))
        whole.unlink()

    def _reject_repeats(self, stream: Stream, repeats: Any) -> None:
        for log in self._logs(stream):
            lines = repeats["line"].filter(pc.equal(repeats["file"], log.raw.name))
            for block in log.blocks() if len(lines) else ():
                found = block.lines.filter(pc.is_in(block.lines["line"], lines))
                reason = pa.repeat(f"{self.source.id_column}: repeated id", found.num_rows)
                self._reject(found.select(["file", "line", "text"]).add_column(2, "reason", reason))

    def settle_clicks(self, stream: Stream, path: Path) -> None:
        """Count the clicks that were joined to rows, and set aside those that could not be."""
        archive = stream.archive and self.source.time_column is not None
        query = statement("ingest_clicks", rows=str(path), archive=archive, day=self.day.isoformat())
        self.connection.execute(query)
        verdicts = self.connection.execute("select verdict, count(*) from settled group by verdict").fetchall()
        counts = dict(verdicts)
        self.joined += counts.get("joined", 0)
        self.other_days += counts.get("other day", 0)
        self.connection.execute(
            "insert into rejects select file, line, verdict, text from settled "
            "where verdict not in ('joined', 'other day')"
        )

    def report(self, path: Path, labelled: bool) -> IngestReport:
        """The sums of the day."""
        label = "label" if labelled else "0"
        query = f"select count(*), coalesce(sum({label}), 0) from {parquet(path)}"
        rows, positives = self.connection.execute(query).fetchall()[0]
        reasons = {reason: count for reason, count, _ in self.examples()}
        shown = dict(list(reasons.items())[:_SHOWN_REASONS])
        rest = sum(reasons.values()) - sum(shown.values())
        return IngestReport(
            lines=self.lines,
            rows=rows,
            positives=int(positives),
            rejects=sum(reasons.values()),
            other_days=self.other_days,
            reasons=shown | ({"other reasons": rest} if rest else {}),
            headers=self.headers,
            clicks=self.clicks,
            joined=self.joined,
            conflicts=self.conflicts,
        )

    def examples(self) -> list[tuple[str, int, str]]:
        """Every reason with its number of lines and one of them, the commonest first."""
        query = (
            "select reason, count(*), min(concat(file, ':', line)) from rejects "
            "group by reason order by count(*) desc, reason"
        )
        return self.connection.execute(query).fetchall()

    def write_rejects(self, path: Path) -> None:
        """Write the lines set aside, in order."""
        query = "select file, line, reason, text from rejects order by file, line, reason, text"
        reader = self.connection.sql(query).to_arrow_reader(GROUP_ROWS)
        with TableWriter(path, plain=("text",), rising=("line",), schema=reader.schema) as writer:
            for batch in reader:
                writer.write(batch)


def _refuse_copies(logs: list[Log]) -> None:
    by_name = {log.raw.name: log for log in logs}
    for file, twin in copies(log.raw for log in logs):
        if any(block.size for block in by_name[file.name].blocks()):
            raise InputError(
                f"{file.path}: holds the same bytes as {twin.name}: one file delivered twice; remove one of them"
            )


def _write(writer: TableWriter, table: Any) -> None:
    for batch in table.to_batches():
        writer.write(batch)


def _copy_settled(source: Path, target: Path, dropped: Any, clicked: Any) -> None:
    """Copy a file of rows but for those at the positions `dropped`, with label 1 at `clicked`; both rise."""
    start = 0
    with (
        pq.ParquetFile(source) as file,
        TableWriter(target, plain=("row_id",), rising=("line",), schema=file.schema_arrow) as writer,
    ):
        for batch in file.iter_batches(GROUP_ROWS):
            gone, risen = (_marked(positions, start, batch.num_rows) for positions in (dropped, clicked))
            if risen.any():
                label = pc.if_else(pa.array(risen), pa.scalar(1, pa.int8()), batch["label"])
                batch = batch.set_column(batch.schema.get_field_index("label"), "label", label)
            writer.write(batch.filter(pa.array(~gone)))
            start += batch.num_rows


def _marked(positions: Any, start: int, rows: int) -> Any:
    """Whether each of the rows from `start` is one of the positions."""
    marks = np.zeros(rows, bool)
    first, last = np.searchsorted(positions, [start, start + rows])
    marks[positions[first:last] - start] = True
    return marks


def _refuse_bad_day(
    source: SourceConfig, stream: Stream, day: datetime.date, report: IngestReport, examples: list[tuple[str, int, str]]
) -> None:
    said = "; ".join(f"{reason} ({count:,}, such as {where})" for reason, count, where in examples[:_COMMONEST])
    if report.rejects > source.max_reject_share * report.lines:
        raise InputError(
            f"{stream.kind} of {day}: {report.rejects:,} of {report.lines:,} lines are rejects, more than "
            f"source.max_reject_share = {source.max_reject_share:g} allows: {said}; "
            f"correct [source] or the files, or allow more{_outage_advice(stream)}"
        )
    ids = report.rows + (report.conflicts if source.on_repeat == "reject" else 0)
    if report.conflicts > source.max_conflict_share * ids:
        raise InputError(
            f"{stream.kind} of {day}: the lines of {report.conflicts:,} of {ids:,} ids do not agree on the label, more "
            f"than source.max_conflict_share = {source.max_conflict_share:g} allows; are the ids those of "
            "impressions? correct source.id_column or the files, or allow more"
        )
    if not report.rows and report.other_days:
        raise InputError(
            f"{stream.kind} of {day}: no row in {report.lines:,} lines ({report.other_days:,} of other days); "
            f"expected lines of {day} in {' and '.join(stream.patterns)}"
            + (f": {said}" if said else "")
            + _outage_advice(stream)
        )


def _outage_advice(stream: Stream) -> str:
    return "; if the day is lost, declare it with pnn-gluon skip-day" if stream.kind == "logs" else ""
