"""Raw logs or requests of a day -> typed rows, and rejects with their reasons.

The raw files are read part by part (`pieces.py`, `ingest_part.py`), by several processes if there are several parts.
What concerns lines of different parts is settled afterwards, here: repeated ids, clicks in files of their own, the
share of rejects. The files are the same whoever reads them.

rows.parquet, and its further parts, ordered by (file, line), clicks first: `row_id` (md5 in hexadecimal), `file`,
`line` (from 1), `label` (0 or 1; absent for requests), `weight` (int64, with `source.weights` only), then a column for
each field: text for categorical and multi-valued fields (blanks around it removed, NULL where it is one of
`source.missing`), double for numeric ones. `hour_of_day` is 0 to 23 and `weekday` 1 (Monday) to 7, both by the clocks
of `source.time_zone`. rejects.parquet, in the same order: `file`, `line`, `reason`, `text` (its first 65,536
characters).

A line of counts (`source.weights`) with n impressions, of which c were clicked, gives at most two rows, which have all
else in common, the id too: label 1 and weight c, label 0 and weight n - c. So a row has one label, as where each
impression has a line of its own, and whatever reads rows needs to know no more than how many impressions it stands for.

A row id is the md5 of `<preset or kind>|<id>`, or, in a source without ids, of
`<preset or kind>|<logs or requests>|<file>:<line>`. `file` is the path below the pattern's fixed folder, or below
the one that the fixed folders of several patterns have in common; in the id, without the suffix of a compression.
"""

import dataclasses
import datetime
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pnn_gluon.config import EngineConfig, SourceConfig, patterns_of
from pnn_gluon.data.ingest_part import (
    REJECT_SCHEMA,
    IngestPart,
    LineCounts,
    RawLines,
    Targets,
    ingest_part,
    read_clicks,
    reject_table,
)
from pnn_gluon.data.lines import Digests
from pnn_gluon.data.log_files import Log, open_log
from pnn_gluon.data.pieces import PART_LINES, Piece, plan
from pnn_gluon.data.raw_files import (
    COPY_BYTES,
    NoRawFiles,
    RawFile,
    copies,
    list_days_of_files,
    list_raw_files,
)
from pnn_gluon.data.read_together import NOTHING, Earlier, ReadTogether, to_json
from pnn_gluon.data.reject_advice import advice_on
from pnn_gluon.data.row_statement import Stream, attribution, row_schema, wanted_columns
from pnn_gluon.days import plus
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.store.parts import part_path, parts_in
from pnn_gluon.store.store import link_file
from pnn_gluon.store.tables import GROUP_ROWS, TableWriter
from pnn_gluon.temporary import temporary_folder
from pnn_gluon.time_zones import start_of
from pnn_gluon.warehouse.duckdb_engine import connect, parquet, statement
from pnn_gluon.warehouse.part_engine import map_parts

__all__ = ["IngestReport", "RawLines", "Targets", "ingest_logs", "ingest_requests", "no_logs"]

_SUMMED = ("lines", "headers", "other_days")
_COMMONEST = 5
_SHOWN_REASONS = 100
_FOR_TWO_DAYS = ", or for two days; remove one of them, or deliver the clicks of each day"


@dataclass(frozen=True)
class IngestReport:
    """What became of every line: lines + halves = rows + joined + rejects + other_days.

    Attributes:
        lines: lines of all files but headers and comments; a record of several lines counts once.
        rows: lines that became rows.
        positives: impressions that were clicked.
        rejects: lines set aside.
        other_days: lines of other days in an archive of many days.
        reasons: rejects by reason, the commonest first; beyond 100 reasons, the rest as one.
        headers: header lines.
        clicks: of the lines, those of separate click files.
        joined: click lines that gave a row its label.
        conflicts: ids whose lines do not agree on the label.
        parts: rows of each part file, where there are several.
        halves: lines that gave two rows, one of their clicks and one of their other impressions; None without weights.
        impressions: sum of the weights of the rows; None where each of them is one impression.
        digests: SHA-256 by name of raw files that were hashed while they were read.
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
    parts: tuple[int, ...] | None = None
    halves: int | None = None
    impressions: int | None = None
    digests: Digests = field(default_factory=dict, compare=False)


def ingest_logs(
    raw: RawLines, engine: EngineConfig, day: datetime.date, targets: Targets, earlier: Earlier = NOTHING
) -> IngestReport:
    """Read the logs of a day into rows and rejects, but for files whose rows an earlier reading has.

    Raises:
        InputError: files are missing or damaged, their columns are not the configured ones, more than
            `source.max_reject_share` of the lines are rejects, or an archive of many days has no line of this one.
    """
    hours = raw.source.attribution_hours
    clicks = Stream("clicks", patterns_of(raw.source.clicks), hours) if raw.source.clicks else None
    return _ingest(raw, engine, day, targets, Stream("logs", patterns_of(raw.source.logs)), clicks, earlier)


def ingest_requests(raw: RawLines, engine: EngineConfig, day: datetime.date, targets: Targets) -> IngestReport:
    """Read the requests of a day, lines like those of the logs but without a label, in the same way.

    Raises:
        ConfigError: `source.requests` is not given.
        InputError: as for logs.
    """
    if raw.source.requests is None:
        raise ConfigError("source.requests: needed; say where the requests of a day lie")
    return _ingest(raw, engine, day, targets, Stream("requests", patterns_of(raw.source.requests)), None)


def no_logs(raw: RawLines, targets: Targets) -> IngestReport:
    """What is read of a day without logs: files without rows."""
    _write_none(targets.rows, raw, labelled=True)
    with TableWriter(targets.rejects, plain=("text",), rising=("line",), schema=REJECT_SCHEMA):
        pass
    none = 0 if raw.source.weighted else None
    return IngestReport(0, 0, 0, 0, other_days=0, reasons={}, halves=none, impressions=none)


def _ingest(
    raw: RawLines,
    engine: EngineConfig,
    day: datetime.date,
    targets: Targets,
    stream: Stream,
    clicks: Stream | None,
    earlier: Earlier = NOTHING,
) -> IngestReport:
    with connect(engine) as connection, temporary_folder(targets.rows.parent, "parts-") as folder:
        _check_time_format(connection, raw.source)
        day_of_parts = _DayOfParts(raw, engine, day, connection, folder)
        if clicks:
            day_of_parts.read_clicks(clicks)
        day_of_parts.write_rows(stream, targets.rows, earlier)
        if raw.source.id_column:
            day_of_parts.settle_repeats(stream)
        if clicks:
            day_of_parts.settle_clicks(clicks)
        report = day_of_parts.report(labelled=stream.kind == "logs")
        _refuse_bad_day(raw.source, stream, day, report, day_of_parts.examples())
        day_of_parts.write_rejects(targets.rejects)
        if targets.parts is not None:
            day_of_parts.write_parts(targets.parts)
    return report


def _together(files: tuple[str, ...], counts: Sequence[LineCounts], parts: int) -> ReadTogether:
    lines, headers, other_days = (sum(getattr(each, name) for each in counts) for name in _SUMMED)
    return ReadTogether(files, lines, headers, other_days, parts)


def _check_time_format(connection: duckdb.DuckDBPyConnection, source: SourceConfig) -> None:
    for form in source.time_forms:
        try:
            connection.execute("select try_time('', $1)", [form]).fetchall()
        except duckdb.Error as error:
            raise ConfigError(f"source.time_format: {form!r}: {error}") from error


class _DayOfParts:
    """A day whose parts are read apart from each other, and then settled where they meet.

    Args:
        raw: how lines are read.
        engine: limits of what reads them.
        day: the day.
        connection: what settles: it has the rejects and the clicks of the whole day.
        folder: for what is not kept.
    """

    def __init__(
        self,
        raw: RawLines,
        engine: EngineConfig,
        day: datetime.date,
        connection: duckdb.DuckDBPyConnection,
        folder: Path,
    ) -> None:
        self._raw, self._engine, self._day = raw, engine, day
        self._connection, self._folder = connection, folder
        self._rows: list[Path] = []
        self._read: list[ReadTogether] = []
        self._settled: set[str] = set()
        self._digests: Digests = {}
        self._clicks: Path | None = None
        self._met: list[Path] = []
        self._lines = self._headers = self._other_days = self._click_lines = self._joined = self._conflicts = 0
        connection.register("no_rejects", REJECT_SCHEMA.empty_table())
        connection.execute("create temp table rejects as from no_rejects")

    def read_clicks(self, stream: Stream) -> None:
        """Read the click lines, which are few, here and at once."""
        self._refuse_yesterdays(stream)
        pieces = tuple(Piece(log) for log in self._logs(stream))
        targets = Targets(self._folder / "clicks.parquet", self._folder / "click_rejects.parquet")
        raw = replace(self._raw, source=self._raw.source.of_clicks, hashed=False)
        part = IngestPart(raw, self._day, stream, pieces, 0, targets, None)
        counts = read_clicks(self._engine, part)
        self._take([counts], [targets])
        self._clicks, self._click_lines = targets.rows, counts.lines

    def _refuse_yesterdays(self, stream: Stream) -> None:
        """Refuse click files that are those of the day before; small ones may be equal by chance."""
        if stream.archive:
            return
        with suppress(NoRawFiles):
            before = list_raw_files(stream.patterns, plus(self._day, -1), self._raw.base)
            today = list_raw_files(stream.patterns, self._day, self._raw.base)
            for file, twin in copies((*before, *today)):
                if file in today and twin in before and file.size >= COPY_BYTES:
                    raise _delivered_twice(file, twin, _FOR_TWO_DAYS)

    def write_rows(self, stream: Stream, path: Path, earlier: Earlier) -> None:
        """Write the good lines into part files, in order; link those that an earlier reading made of the same files."""
        digests = self._digests if self._raw.hashed else None
        groups = plan(self._logs(stream), self._engine.parallel, PART_LINES, digests)
        fresh = {each.files: self._parts(stream, each.tasks) for each in groups if each.files not in earlier.read}
        todo = [part for parts in fresh.values() for part in parts]
        results = iter(map_parts(self._engine, ingest_part, todo))
        self._met = [part.met for part in todo if part.met]
        for files in (each.files for each in groups):
            if files in fresh:
                counts = [next(results) for _ in fresh[files]]
                self._take(counts, [part.targets for part in fresh[files]])
                for each in counts:
                    self._digests |= each.digests
                made = [path for part in fresh[files] for path in parts_in(part.targets.rows)]
                self._read.append(_together(files, counts, len(made)))
            else:
                kept, parts = earlier.read[files]
                made = list(parts)
                self._keep(kept, earlier)
            for part in made:
                self._rows.append(part_path(path, len(self._rows)))
                (Path.rename if files in fresh else link_file)(part, self._rows[-1])
        if not self._rows:
            _write_none(path, self._raw, labelled=stream.kind == "logs")
            self._rows = [path]

    def _parts(self, stream: Stream, tasks: Iterable[tuple[Piece, ...]]) -> list[IngestPart]:
        return [
            IngestPart(self._raw, self._day, stream, pieces, PART_LINES, self._scratch(), self._clicks)
            for pieces in tasks
        ]

    def _keep(self, kept: ReadTogether, earlier: Earlier) -> None:
        """Count what an earlier reading read, with its rejects."""
        self._read.append(kept)
        self._count(kept)
        if earlier.rejects is not None:
            query = f"insert into rejects from {parquet(earlier.rejects)} where file in (select unnest($1::varchar[]))"
            self._connection.execute(query, [list(kept.files)])

    def _scratch(self) -> Targets:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        return Targets(folder / "rows.parquet", folder / "rejects.parquet")

    def _take(self, counts: Sequence[LineCounts], targets: Sequence[Targets]) -> None:
        """Add what was read, and gather the rejects."""
        for each in counts:
            self._count(each)
        self._connection.execute(f"insert into rejects from {parquet([each.rejects for each in targets])}")

    def _count(self, read: LineCounts | ReadTogether) -> None:
        self._lines += read.lines
        self._headers += read.headers
        self._other_days += read.other_days

    def _logs(self, stream: Stream) -> list[Log]:
        source = self._raw.source.of_clicks if stream.kind == "clicks" else self._raw.source
        wanted = wanted_columns(source, self._raw.fields, stream)
        days = self._raw.source.click_days(self._day) if stream.kind == "clicks" else 0
        files = list_days_of_files(stream.patterns, self._day, days, self._raw.base)
        logs = [open_log(source, file, wanted) for file in files]
        _refuse_copies(logs, _FOR_TWO_DAYS if stream.kind == "clicks" else "; remove one of them")
        return logs

    def _reject(self, table: Any) -> None:
        self._connection.register("inserted", reject_table(table))
        self._connection.execute("insert into rejects from inserted")

    def settle_repeats(self, stream: Stream) -> None:
        """Leave one row, or none, of those that share an id, as `source.on_repeat` says; set the others aside."""
        labelled = stream.kind == "logs"
        settled = "ingest_weighted_repeats" if labelled and self._raw.source.weights else "ingest_repeats"
        label, rule = "label" if labelled else "0", self._raw.source.on_repeat
        self._connection.execute(statement(settled, rows=self._rows, label=label, on_repeat=rule))
        query = "select * from repeats where verdict <> 'kept' order by file, line"
        changed = self._connection.sql(query).to_arrow_table()
        if not changed.num_rows:
            return
        count = "select count(distinct row_id) from repeats where conflict"
        self._conflicts = self._connection.execute(count).fetchall()[0][0]
        self._joined += pc.sum(pc.equal(changed["verdict"], "joined")).as_py()
        self._reject_repeats(stream, changed.filter(pc.equal(changed["verdict"], "repeated")))
        self._settled = set(changed["filename"].to_pylist())
        for path in self._rows:
            _settle(path, changed.filter(pc.equal(changed["filename"], str(path))), self._folder)

    def _reject_repeats(self, stream: Stream, repeats: Any) -> None:
        for log in self._logs(stream):
            lines = repeats["line"].filter(pc.equal(repeats["file"], log.raw.name))
            for block in log.blocks() if len(lines) else ():
                found = block.lines.filter(pc.is_in(block.lines["line"], lines))
                reason = pa.repeat(f"{self._raw.source.id_column}: repeated id", found.num_rows)
                self._reject(found.select(["file", "line", "text"]).add_column(2, "reason", reason))

    def settle_clicks(self, stream: Stream) -> None:
        """Count the clicks that were joined to rows, and set aside those that could not be."""
        source = self._raw.source
        archive = stream.archive and bool(source.of_clicks.time_columns)
        day = self._day.isoformat()
        self._connection.execute(
            statement(
                "ingest_clicks",
                rows=self._rows,
                clicks=self._clicks,
                archive=archive,
                day=day,
                met=self._met,
                within=attribution(source),
                hours=source.attribution_hours,
                start=start_of(self._day, source.time_zone),
                end=start_of(plus(self._day, 1), source.time_zone),
            )
        )
        verdicts = self._connection.execute("select verdict, count(*) from settled group by verdict").fetchall()
        counts = dict(verdicts)
        self._joined += counts.get("joined", 0)
        self._other_days += counts.get("other day", 0)
        self._connection.execute(
            "insert into rejects select file, line, verdict, text from settled "
            "where verdict not in ('joined', 'other day')"
        )

    def report(self, labelled: bool) -> IngestReport:
        """The sums of the day."""
        weighted = labelled and self._raw.source.weighted
        rows, impressions, positives, lines = self._sums(labelled, weighted)
        reasons = {reason: count for reason, count, _ in self.examples()}
        shown = dict(list(reasons.items())[:_SHOWN_REASONS])
        rest = sum(reasons.values()) - sum(shown.values())
        return IngestReport(
            lines=self._lines,
            rows=rows,
            positives=positives,
            rejects=sum(reasons.values()),
            other_days=self._other_days,
            reasons=shown | ({"other reasons": rest} if rest else {}),
            headers=self._headers,
            clicks=self._click_lines,
            joined=self._joined,
            conflicts=self._conflicts,
            parts=tuple(map(_rows_in, self._rows)) if len(self._rows) > 1 else None,
            halves=rows - lines if weighted else None,
            impressions=impressions if weighted else None,
            digests=self._digests,
        )

    def _sums(self, labelled: bool, weighted: bool) -> tuple[int, int, int, int]:
        """Of the rows: how many, impressions, clicks, and how many lines they come from."""
        weight = "weight" if weighted else "1"
        clicks = f"sum(label * {weight})" if labelled else "0"
        lines = "count(distinct (file, line))" if weighted else "count(*)"
        query = f"select count(*), sum({weight}), {clicks}, {lines} from {parquet(self._rows)}"
        rows, impressions, positives, lines_read = self._connection.execute(query).fetchall()[0]
        return rows, int(impressions or 0), int(positives or 0), lines_read

    def examples(self) -> list[tuple[str, int, str]]:
        """Every reason with its number of lines and one of them, the commonest first."""
        query = (
            "select reason, count(*), min(concat(file, ':', line)) from rejects "
            "group by reason order by count(*) desc, reason"
        )
        return self._connection.execute(query).fetchall()

    def write_parts(self, path: Path) -> None:
        """Write which files were read together, unless all of them were."""
        first, told = 0, []
        for each in self._read:
            paths = {str(path) for path in self._rows[first : first + each.parts]}
            told.append(dataclasses.replace(each, settled=bool(paths & self._settled)))
            first += each.parts
        if len(told) > 1:
            path.write_text(to_json(told))

    def write_rejects(self, path: Path) -> None:
        """Write the lines set aside, in order."""
        query = "select file, line, reason, text from rejects order by file, line, reason, text"
        reader = self._connection.sql(query).to_arrow_reader(GROUP_ROWS)
        with TableWriter(path, plain=("text",), rising=("line",), schema=reader.schema) as writer:
            for batch in reader:
                writer.write(batch)


def _refuse_copies(logs: list[Log], advice: str) -> None:
    by_name = {log.raw.name: log for log in logs}
    for file, twin in copies(log.raw for log in logs):
        if any(block.size for block in by_name[file.name].blocks()):
            raise _delivered_twice(file, twin, advice)


def _delivered_twice(file: RawFile, twin: RawFile, advice: str) -> InputError:
    return InputError(f"{file.path}: holds the same bytes as {twin.name}: one file delivered twice{advice}")


def _rows_in(path: Path) -> int:
    with pq.ParquetFile(path) as file:
        return int(file.metadata.num_rows)


def _write_none(path: Path, raw: RawLines, labelled: bool) -> None:
    schema = row_schema(raw.fields, labelled, raw.source.weighted)
    with TableWriter(path, plain=("row_id",), rising=("line",), schema=schema):
        pass


def _settle(path: Path, changed: Any, folder: Path) -> None:
    """Make a part file anew without its repeated rows and with the clicks of the others, if it has such."""
    if not changed.num_rows:
        return
    clicked = pc.equal(changed["verdict"], "clicked")
    dropped, risen = (changed["position"].filter(chosen).to_numpy() for chosen in (pc.invert(clicked), clicked))
    whole = path.rename(folder / "with_repeats.parquet")
    start = 0
    with (
        pq.ParquetFile(whole) as file,
        TableWriter(path, plain=("row_id",), rising=("line",), schema=file.schema_arrow) as writer,
    ):
        for batch in file.iter_batches(GROUP_ROWS):
            writer.write(
                _settled(batch, *(_marked(positions, start, batch.num_rows) for positions in (dropped, risen)))
            )
            start += batch.num_rows
    whole.unlink()


def _settled(batch: Any, dropped: Any, risen: Any) -> Any:
    """The rows that are left, with their labels."""
    if risen.any():
        label = pc.if_else(pa.array(risen), pa.scalar(1, pa.int8()), batch["label"])
        batch = batch.set_column(batch.schema.get_field_index("label"), "label", label)
    return batch.filter(pa.array(~dropped))


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
        advice = advice_on(source, [reason for reason, _, _ in examples[:_COMMONEST]])
        raise InputError(
            f"{stream.kind} of {day}: {report.rejects:,} of {report.lines:,} lines are rejects, more than "
            f"source.max_reject_share = {source.max_reject_share:g} allows: {said}; "
            f"correct [source]{advice} or the files, or allow more{_outage_advice(stream)}"
        )
    ids = report.rows - (report.halves or 0) + (report.conflicts if source.on_repeat == "reject" else 0)
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
