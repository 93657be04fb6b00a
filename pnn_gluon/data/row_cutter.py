"""Blocks of delimited lines -> typed rows and rejects, by native code: the twin of `sql/ingest_rows.sql`.

Both follow the same rules (`row_statement.row_rules`). What a label or a time means is asked of SQL here, too, once for
each distinct text of a block.
"""

import datetime
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pnn_gluon.config import Fields, SourceConfig
from pnn_gluon.data.cutter import EMPTY, HOLDS_NUL, NOT_UTF8, TOO_LONG, Cells, Cut, Cutter, Kind
from pnn_gluon.data.cutter import md5_texts as md5
from pnn_gluon.data.cutter_library import instruction_set
from pnn_gluon.data.lines import HOLDS_NUL as SAID_NUL
from pnn_gluon.data.lines import NOT_UTF8 as SAID_NOT_UTF8
from pnn_gluon.data.lines import TOO_LONG as SAID_TOO_LONG
from pnn_gluon.data.lines import shown_text
from pnn_gluon.data.log_files import DelimitedLog, Log, TextBlock
from pnn_gluon.data.row_statement import Stream, row_rules
from pnn_gluon.store.tables import compacted
from pnn_gluon.warehouse.duckdb_engine import statement

_SAID = {EMPTY: "empty line", NOT_UTF8: SAID_NOT_UTF8, HOLDS_NUL: SAID_NUL, TOO_LONG: SAID_TOO_LONG}
_REJECTED = ("file", "line", "reason", "text")

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class CutLines:
    """What became of a block.

    Attributes:
        rows: table of its good lines, texts with dictionaries.
        rejected: table of file, line, reason and text of the others.
        size: its lines.
        other_days: of them, those of other days, which are left out.
    """

    rows: Any
    rejected: Any
    size: int
    other_days: int


def row_cutter(
    source: SourceConfig,
    fields: Fields,
    stream: Stream,
    log: Log,
    day: datetime.date,
    connection: duckdb.DuckDBPyConnection,
) -> "RowCutter | None":
    """What cuts a log; None where SQL does.

    That is without native code, for other forms than delimited lines (a `RecordLog` is one, too), clicks in files of
    their own, lines of many impressions, columns that a path tells or that may be missing, and a delimiter of several
    bytes.
    """
    isa = instruction_set()
    if isa is None or not isinstance(log, DelimitedLog) or len(log.delimiter.encode()) > 1:
        return None
    rules = row_rules(source, fields, stream, log, day)
    elsewhere = rules["clicks"] or rules["clicked"] or rules["weights"] or rules["told"] or source.optional_columns
    return None if elsewhere else RowCutter(isa, log, rules, connection)


class RowCutter:
    """Types the blocks of one log.

    Args:
        isa: an instruction set of the cutter.
        log: the log.
        rules: what becomes of its lines.
        connection: what says what labels and times mean.
    """

    def __init__(
        self, isa: str, log: DelimitedLog, rules: dict[str, Any], connection: duckdb.DuckDBPyConnection
    ) -> None:
        self._isa, self._log, self._rules, self._connection = isa, log, rules, connection
        self._columns: dict[tuple[int, Kind], int] = {}
        for number in rules["numbers"]:  # first, so that the first bad one of a line is its reason
            self._want(number["position"], "number")
        for field in rules["fields"]:
            if field["position"] is not None:
                self._want(field["position"], "number" if field["numeric"] else "text")
        for place in rules["time"]["positions"] if rules["time"] else ():
            self._want(place, "text")
        for name in ("label", "id"):
            if rules[name]:
                self._want(rules[name]["position"], "plain" if name == "id" else "text")
        label = rules["label"]["position"] if rules["label"] else None
        cells = [Cells(place - 1, kind, place != label) for place, kind in self._columns]
        self._cutter = Cutter(isa, len(log.columns), log.delimiter.encode(), cells, rules["missing"])

    def _want(self, place: int, kind: Kind) -> None:
        self._columns.setdefault((place, kind), len(self._columns))

    def typed(self, block: TextBlock) -> CutLines | None:
        """The rows and rejects of a block; None where a line may have quotes, which SQL understands."""
        if self._log.quote and self._log.quote.encode() in block.data:
            return None
        cut = self._cutter.cut(block.data, block.headers)
        time = self._meanings(cut, self._rules["time"]["positions"]) if self._rules["time"] else None
        label = self._meanings(cut, [self._rules["label"]["position"]], "label") if self._rules["label"] else None
        faults = self._faults(cut, time, label)
        left_out = self._left_out(time, len(cut.line))
        rows = self._rows(cut, block.first, time, label)
        bad = np.logical_or.reduce([mask for mask, _ in faults], axis=0) & ~left_out if faults else left_out & False
        if bad.any() or left_out.any():
            rows = rows.filter(pa.array(~(bad | left_out))).combine_chunks()
            rows = pa.Table.from_batches([compacted(batch) for batch in rows.to_batches()], rows.schema)
        return CutLines(rows, self._rejected(block, cut, faults, bad), cut.size, int(left_out.sum()))

    def _column(self, cut: Cut, place: int, kind: Kind) -> Any:
        return cut.columns[self._columns[place, kind]]

    def _meanings(self, cut: Cut, places: list[int], name: str = "time") -> Any:
        """What the texts in these places mean as a label or a time, a row each."""
        columns = {f"raw_{place}": self._column(cut, place, "text") for place in places}
        distinct = len(columns) == 1
        texts = {each: c.dictionary if distinct else c.cast(pa.string()) for each, c in columns.items()}
        self._connection.register("texts", pa.table(texts))
        rules = self._rules if name == "label" else self._rules | {"label": None}
        found = self._connection.sql(statement("distinct_texts", **rules)).to_arrow_table().combine_chunks()
        return found.take(columns[f"raw_{places[0]}"].indices) if distinct else found

    def _faults(self, cut: Cut, time: Any, label: Any) -> list[tuple[Mask, str]]:
        """Rows with a fault, and the reason, in the order in which reasons are told."""
        rules, faults = self._rules, []
        if time is not None:
            faults.append((_true(time["skipped"]), rules["time"]["skipped_reason"]))
            faults.append((_true(time["timeless"], null=True), rules["time"]["reason"]))
            if rules["other_days"] == "reject":
                faults.append((_true(time["other_day"]), rules["time"]["other_day"]))
        if rules["id"]:
            ids = self._column(cut, rules["id"]["position"], "plain")
            faults.append((_null(ids), rules["id"]["reason"]))
        if label is not None:
            faults.append((_null(label["label"]), rules["label"]["reason"]))
        faults += [(cut.bad_number == place, number["reason"]) for place, number in enumerate(rules["numbers"])]
        return [(mask, reason) for mask, reason in faults if mask.any()]

    def _left_out(self, time: Any, rows: int) -> Mask:
        if time is None or self._rules["other_days"] != "leave out":
            return np.zeros(rows, bool)
        return _true(time["other_day"])

    def _rows(self, cut: Cut, first: int, time: Any, label: Any) -> Any:
        rules, count = self._rules, len(cut.line)
        line = pa.array(cut.line.astype(np.int64) + first)
        named = self._column(cut, rules["id"]["position"], "plain").fill_null("") if rules["id"] else None
        columns = {
            "row_id": md5(self._isa, rules["id_prefix"], line.cast(pa.string()) if named is None else named),
            "file": pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), [self._log.raw.name]),
            "line": line,
        }
        if label is not None:
            columns["label"] = label["label"]
        for field in rules["fields"]:
            columns[field["name"]] = self._field(cut, field, time)
        return pa.table(columns).combine_chunks()

    def _field(self, cut: Cut, field: dict[str, Any], time: Any) -> Any:
        if field["position"] is not None:
            return self._column(cut, field["position"], "number" if field["numeric"] else "text")
        return time[field["name"]]

    def _rejected(self, block: TextBlock, cut: Cut, faults: list[tuple[Mask, str]], bad: Mask) -> Any:
        reasons: dict[int, str] = {}
        for mask, reason in reversed(faults):
            reasons |= dict.fromkeys(np.flatnonzero(mask & bad).tolist(), reason)
        said = [(cut.line[row], reason, cut.start[row], cut.length[row]) for row, reason in sorted(reasons.items())]
        said += [(line, self._said(fault, cells), start, length) for line, fault, cells, start, length in cut.bad_lines]
        data, name = memoryview(block.data), self._log.raw.name
        told = [(name, int(at) + block.first, why, shown_text(data[i : i + size])) for at, why, i, size in said]
        columns = list(map(list, zip(*told, strict=True)))
        return pa.table(columns or [[], [], [], []], names=_REJECTED)

    def _said(self, fault: int, cells: int) -> str:
        return _SAID.get(fault, f"{cells} columns, expected {len(self._log.columns)}")


def _true(column: Any, null: bool = False) -> Mask:
    """Where a column of truths is true; `null` says what nothing is."""
    true: Mask = column.combine_chunks().fill_null(null).to_numpy(zero_copy_only=False)
    return true


def _null(column: Any) -> Mask:
    null: Mask = np.asarray(column.is_null())
    return null
