"""Parquet and ORC files: with columns of any type, and with bytes that are not what was written."""

import datetime
import decimal
import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import orc

from tests.data.pipelines import pipeline
from tests.fuzz.lines import DAY
from tests.fuzz.reading import read_day
from tests.fuzz.target import Case, drawn_edit, edited

ROWS = 50
SOURCE = """
kind = "KIND"
logs = "logs/{day}/*"
label = { column = "click" }
max_reject_share = 1.0
"""
FIELDS = """
fields = [
    { name = "site" },
    { name = "price", kind = "numeric" },
    { name = "tags", kind = "multi", separator = "|" },
]
"""


def _table() -> dict[str, Any]:
    return {
        "click": pa.array([n % 2 for n in range(ROWS)], pa.int8()),
        "site": pa.array([None if n % 9 == 0 else f"s{n % 5}" for n in range(ROWS)]),
        "price": pa.array([n / 4 for n in range(ROWS)]),
        "tags": pa.array([["a"] * (n % 3) for n in range(ROWS)]),
        "more": pa.array(range(ROWS)),
    }


def _array(values: Any, kind: Any = None) -> Any:
    return pa.array([values[n % len(values)] for n in range(ROWS)], kind)


_DAY = datetime.date(2026, 11, 1)
_TIME = datetime.datetime(2026, 11, 1, 5)
ODD: dict[str, Any] = {
    "null": pa.nulls(ROWS),
    "bool": _array([True, False, None]),
    "uint64": _array([0, 2**64 - 1], pa.uint64()),
    "int8": _array([-128, 127], pa.int8()),
    "half": pa.array(np.array([0.5, np.nan] * (ROWS // 2), np.float16)),
    "float": _array([0.1, float("inf"), float("-inf"), 2.0**60, None], pa.float32()),
    "decimal": _array([decimal.Decimal("1.50"), None], pa.decimal128(10, 2)),
    "wide decimal": _array([decimal.Decimal(10**40)], pa.decimal256(60, 2)),
    "date": _array([_DAY, datetime.date(1, 1, 1), datetime.date(9999, 12, 31)]),
    "date64": _array([_DAY], pa.date64()),
    "time32": _array([datetime.time(5)], pa.time32("ms")),
    "time": _array([_TIME, None], pa.timestamp("us")),
    "zone": _array([_TIME], pa.timestamp("ns", "Europe/Berlin")),
    "far": pa.array([2**62] * ROWS, pa.int64()).cast(pa.timestamp("s")),
    "duration": _array([datetime.timedelta(1)]),
    "binary": _array([b"a", b"\xff", b"\0", None]),
    "fixed": _array([b"ab"], pa.binary(2)),
    "large": _array(["a", "\0", "é"], pa.large_string()),
    "view": _array(["a", "long enough to be no inline view"], pa.string_view()),
    "dictionary": _array(["a", "b", None]).dictionary_encode(),
    "numbers": _array([1, 2]).dictionary_encode(),
    "list": _array([[1, None], [], None, [2]]),
    "lists": _array([[["a"], []], None]),
    "fixed list": _array([[1, 2]], pa.list_(pa.int8(), 2)),
    "large list": _array([["a|b"], ["c"]], pa.large_list(pa.string())),
    "list of times": _array([[_TIME]]),
    "list of booleans": _array([[True, None]]),
    "struct": _array([{"a": 1}, None]),
    "map": _array([[("a", 1)], None], pa.map_(pa.string(), pa.int8())),
    "nul": _array(["a\0b", "c"]),
    "no text": pa.Array.from_buffers(pa.string(), ROWS, _array([b"\xff", b"a"]).buffers()),
    "no texts": _array([[b"\xff"], [b"a"]]).cast(pa.list_(pa.string()), safe=False),
    "newlines": _array(["a\nb\t", " c "]),
}
COLUMNS = ("click", "site", "price", "tags")
NAMES = ["click", " Site ", "PRICE", "tags", "", "a.b", "click", "x" * 3000, "é", '"']


class TypedFiles:
    """See `Target`: parts are changes of bytes, or columns of an odd type."""

    def draw(self, drawn: random.Random) -> Case:
        """A whole file with odd columns, or a plain one with other bytes."""
        options = {
            "kind": drawn.choice(["parquet", "parquet", "orc"]),
            "codec": drawn.choice(["none", "snappy", "zstd"]),
        }
        options |= {"dictionary": drawn.random() < 0.5, "version": drawn.choice(["1.0", "2.0"])}
        if drawn.random() < 0.3:
            odd = {drawn.choice(COLUMNS): drawn.choice(list(ODD)) for _ in range(drawn.randrange(1, 3))}
            name = {drawn.choice(COLUMNS): drawn.choice(NAMES)} if drawn.random() < 0.2 else {}
            return Case(
                (*(("type", *each) for each in odd.items()), *(("name", *each) for each in name.items())), options
            )
        return Case(tuple(drawn_edit(drawn, 3000) for _ in range(drawn.choice([1, 1, 2, 5]))), options)

    def check(self, case: Case, folder: Path) -> None:
        """Rows and rejects, or an error that names the file; of Parquet, with checksums, no other rows than written."""
        options = case.options
        config = pipeline(folder, SOURCE.replace("KIND", options["kind"]), FIELDS)
        path = folder / f"logs/{DAY}/part"
        path.parent.mkdir(parents=True)
        odd = [part for part in case.parts if isinstance(part, tuple)]
        content = _written(_with(odd), options)
        if content is None:
            return
        path.write_bytes(edited(content, [part for part in case.parts if part not in odd]))
        read = read_day(config, DAY)
        if isinstance(read, str):
            assert str(path) in read, f"names no file: {read}"
            return
        assert len(set(read.numbers)) == len(read.numbers) == read.lines
        footer = 1 - (int.from_bytes(content[-8:-4], "little") + 8) / len(content)  # has no checksum
        if not odd and options["kind"] == "parquet" and all(edit.place < footer for edit in case.parts):
            path.write_bytes(content)
            assert read == read_day(config, DAY), "other rows than were written"


def _with(odd: list[tuple[str, str, str]]) -> Any:
    columns = _table() | {column: ODD[name] for what, column, name in odd if what == "type"}
    names = {column: name for what, column, name in odd if what == "name"}
    return pa.table(list(columns.values()), names=[names.get(column, column) for column in columns])


def _written(table: Any, options: Any) -> bytes | None:
    """The file, or None where this kind of file has no such columns."""
    sink = io.BytesIO()
    codec = options["codec"]
    try:
        if options["kind"] == "orc":
            orc.write_table(table, sink, compression="uncompressed" if codec == "none" else codec)
        else:
            pq.write_table(
                table,
                sink,
                compression=codec,
                use_dictionary=options["dictionary"],
                data_page_version=options["version"],
                write_page_checksum=True,
                row_group_size=ROWS // 2,
            )
    except (pa.ArrowException, OSError):
        return None
    return sink.getvalue()
