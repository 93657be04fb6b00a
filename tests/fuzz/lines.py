"""Delimited lines with every option of a source: what native code, SQL and the reader of records make of them."""

import bz2
import codecs
import contextlib
import datetime
import functools
import gzip
import random
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pnn_gluon.config import Config, load_config
from pnn_gluon.data import cutter_library, log_files, row_cutter
from pnn_gluon.data.lines import MAX_LINE_BYTES, read_pieces
from pnn_gluon.data.records import read_records
from tests.fuzz.reading import Read, read_day
from tests.fuzz.target import Case, drawn_edit, edited

DAY = datetime.date(2026, 11, 1)
COLUMNS = ("id", "label", "site", "price", "tags", "time")
DELIMITERS = ["\t", "\t", ",", ",", "|", ";", " ", "||", "::", "\x01", "é"]
ENCODINGS = ["utf-8"] * 6 + ["latin-1", "cp1252", "utf-16", "utf-16-le", "gb18030", "shift_jis", "utf-32"]
CELLS = [
    *(b"", b"1", b"0", b"a", b"nan", b"1e309", b"0x10", b" 1 ", b"  ", b"\0", b'"', b'""', b'"a"', b'"a', b"'"),
    *(b"\\", b'"a\tb"', b'"a,b"', b'"a|b"', b'"a\nb"', b'"a""b"', b"a|b|a||", b"\\N", b"\\,", b"\\\n", b"\r"),
    *(b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf1", b"\xe2\x80\xa8"),
    *(b"\x0b\x0c\x1c\x85", b"#", b"NULL", b"'; drop table lines;--", b"../x", b"%s%n", b"\xf0\x9f\x98\x80"),
    *(b"e\xcc\x81", b"A" * 3000, b"\x1a", b"2026-11-01 00:00:00", b"2026-11-02 00:00:00", b"9999-99-99 00:00:00"),
    *(b"294247-01-10 04:00:54", b"1e-400", b"+1", b"1.", b".5", b"-", b"+.e1", b"1e999", b"\xd9\xa1", b"True"),
    *(b"1" * 40, b"0." + b"0" * 330 + b"1"),
]
ENDS = [b"\n"] * 8 + [b"\r\n", b"\r\r\n", b"\r", b"\n\n", b" \n", b"\0\n"]
NUMBER = re.compile(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)


class Lines:
    """See `Target`: parts are lines."""

    def draw(self, drawn: random.Random) -> Case:
        """Lines of which most are good, and a source that reads them."""
        source = _drawn_source(drawn)
        options = {"source": source, "blocks": drawn.choice([1, 1, 2, 5]), **packing(drawn)}
        count = drawn.choice([1, 3, 20, 20, 200])
        header = source["delimiter"].join(COLUMNS).encode() + b"\n" if drawn.random() < 0.9 else b"x\n"
        lines = [header] if source["header"] else []
        if drawn.random() < 0.05:
            return Case((drawn.randbytes(drawn.choice([0, 1, 100, 5000])),), options)
        lines += [_line(drawn, source, number) for number in range(count)]
        if drawn.random() < 0.02:
            lines.append(b"x" * (MAX_LINE_BYTES + drawn.randrange(-60, 3)) + drawn.choice([b"", b"\r", b"\n", b"\r\n"]))
        if drawn.random() < 0.1:
            lines.insert(0, codecs.BOM_UTF8)
        if drawn.random() < 0.3:
            lines.append(b"last" if drawn.random() < 0.5 else _line(drawn, source, count).rstrip(b"\r\n"))
        return Case(tuple(lines), options)

    def check(self, case: Case, folder: Path) -> None:
        """Every line is once a row or a reject, whoever reads it."""
        text, options = b"".join(case.parts), case.options
        config = _config(folder, options["source"])
        stored = encoded(text, options["source"]["encoding"])
        packed = edited(PACKINGS[options["packing"]](stored), options["damage"])
        path = folder / f"logs/{DAY}/part{options['suffix']}"
        path.parent.mkdir(parents=True)
        path.write_bytes(packed)
        isa, block = cutter_library.instruction_set(), len(stored) // options["blocks"] + 1
        read = _read(config, block, None)
        if isa is not None:
            assert _read(config, block, isa) == read, "native code reads it otherwise"
        if _plain(options["source"]):
            with _as_records():
                other = _read(config, block, None)
            both_refused = isinstance(other, str) and isinstance(
                read, str
            )  # a header that is no text is told otherwise
            assert both_refused or other == read, "the reader of records reads it otherwise"
        if isinstance(read, str):
            assert str(path) in read or str(DAY) in read, f"names no file: {read}"
        else:
            _complete(read, text, case)
            if not options["damage"] and _plain(options["source"]) and not options["source"]["quote"]:
                _as_defined(read, stored, options["source"])


def _drawn_source(drawn: random.Random) -> dict[str, Any]:
    escape = "\\" if drawn.random() < 0.15 else ""
    quote = drawn.choice(["", "", '"', '"', "'"])
    return {
        "delimiter": drawn.choice(DELIMITERS),
        "quote": quote,
        "escape": escape,
        "quoted_newlines": bool(quote or escape) and drawn.random() < 0.3,
        "comment": drawn.choice(["", "", "", "#", "//", "a"]),
        "encoding": drawn.choice(ENCODINGS),
        "header": drawn.random() < 0.2,
        "time": drawn.choice(["", "", "reject", "archive"]),
        "id": drawn.random() < 0.3,
        "missing": drawn.choice([[""], ["", "NULL", "\\N"], [], ["1"]]),
    }


def packing(drawn: random.Random) -> dict[str, Any]:
    """How a file is compressed and damaged."""
    packing = drawn.choice(["plain"] * 5 + ["gzip", "gzip twice", "zstd", "bz2"])
    damaged = packing != "plain" and drawn.random() < 0.6
    edits = tuple(drawn_edit(drawn, 1000) for _ in range(drawn.choice([1, 1, 3]))) if damaged else ()
    suffix = {"gzip": ".gz", "gzip twice": ".gz", "zstd": ".zst", "bz2": ".bz2"}.get(packing, ".tsv")
    return {"packing": packing, "damage": edits, "suffix": suffix if drawn.random() < 0.9 else ".txt"}


PACKINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "gzip twice": lambda data: (
        gzip.compress(data[: len(data) // 2], mtime=0) + gzip.compress(data[len(data) // 2 :], mtime=0)
    ),
    "zstd": lambda data: bytes(pa.compress(data, "zstd", asbytes=True)),
    "bz2": bz2.compress,
}


def _line(drawn: random.Random, source: Mapping[str, Any], number: int) -> bytes:
    usual = [b"id-%d" % number, b"%d" % drawn.randrange(2), b"s%d" % drawn.randrange(5), b"%d.5" % number, b"a|b"]
    cells = [*usual, b"2026-11-01 05:00:00"]
    fate = drawn.random()
    if fate < 0.6:
        for _ in range(drawn.choice([1, 1, 2, 6])):
            cells[drawn.randrange(len(cells))] = drawn.choice(CELLS)
    elif fate < 0.7:
        cells = [drawn.choice(CELLS) for _ in range(drawn.choice([0, 1, 2, 5, 7, 200]))]
    mark = source["comment"].encode() if drawn.random() < 0.05 else b""
    return mark + source["delimiter"].encode().join(cells) + drawn.choice(ENDS)


def encoded(text: bytes, encoding: str) -> bytes:
    """Text in another encoding; what is no text there stays as it is."""
    return text if encoding == "utf-8" else text.decode("utf-8", "replace").encode(encoding, "replace")


def _config(folder: Path, source: Mapping[str, Any]) -> Config:
    archive = source["time"] == "archive"
    lines = [f"{key} = {_toml(source[key])}" for key in ("delimiter", "quote", "escape", "comment", "encoding")]
    lines += [f"{key} = {_toml(source[key])}" for key in ("quoted_newlines", "header", "missing")]
    lines += ["columns = " + _toml(list(COLUMNS)), "max_reject_share = 1.0"]
    lines += ['logs = "logs/*/*"' if archive else 'logs = "logs/{day}/*"']
    lines += ['time_column = "time"'] if source["time"] else []
    lines += ['id_column = "id"', "max_conflict_share = 1.0"] if source["id"] else []
    fields = 'fields = [{ name = "site" }, { name = "price", kind = "numeric" }, { name = "tags", kind = "multi" }]'
    path = folder / "pipeline.toml"
    path.write_text(
        f'name = "test"\nfirst_day = 2026-11-01\n{fields}\n[store]\nroot = "store"\n[model]\nname = "lr"\n[source]\n'
        + "\n".join(lines)
    )
    return load_config(path)


def _toml(value: Any) -> str:
    import json

    return json.dumps(value)


def _read(config: Config, block: int, isa: str | None) -> Read | str:
    """What a file holds, or the error that was told."""
    with _blocks_of(block), pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_cutter, "instruction_set", lambda: isa)
        return read_day(config, DAY)


@contextlib.contextmanager
def _blocks_of(block: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_files, "read_pieces", functools.partial(read_pieces, block_bytes=block))
        patch.setattr(log_files, "read_records", functools.partial(read_records, block_bytes=block))
        yield


@contextlib.contextmanager
def _as_records() -> Iterator[None]:
    """Plain lines are read as records are."""
    with pytest.MonkeyPatch.context() as patch:
        form = log_files.RecordForm
        patch.setattr(
            log_files,
            "record_form",
            lambda source: form(source.delimiter, source.quote, encoding=source.encoding),
        )
        yield


def _plain(source: Mapping[str, Any]) -> bool:
    """Whether lines are read one by one, without records."""
    special = source["escape"] or source["quoted_newlines"] or source["comment"] or source["encoding"] != "utf-8"
    return not special and (len(source["delimiter"]) == 1 or not source["quote"])


def _complete(read: Read, text: bytes, case: Case) -> None:
    """No line is lost, and none is there twice."""
    source = case.options["source"]
    assert len(set(read.numbers)) == len(read.numbers), "a line is there twice"
    assert read.lines == len(read.numbers) + read.other_days, read
    if case.options["damage"] or source["encoding"] != "utf-8":
        return
    lines = text.count(b"\n") + bool(text.removeprefix(codecs.BOM_UTF8).rpartition(b"\n")[2])
    assert read.lines + read.headers + read.passed == lines, f"{lines} lines"
    if not (source["quoted_newlines"] or source["comment"] or read.other_days):
        assert read.numbers == list(range(1 + read.headers, lines + 1))


def _as_defined(read: Read, stored: bytes, source: Mapping[str, Any]) -> None:
    """Rows and rejects as Python tells them of lines without quotes."""
    lines = stored.removeprefix(codecs.BOM_UTF8).split(b"\n")
    reasons = {line: reason for line, reason, _ in read.rejects}
    for row in read.rows:
        number, site, price = row["line"], row["site"], row["price"]
        cells = lines[number - 1].removesuffix(b"\r").decode().split(source["delimiter"])
        assert len(cells) == len(COLUMNS), f"line {number} is a row"
        wanted = [None if cell.strip(" ") in source["missing"] else cell.strip(" ") for cell in cells]
        assert site == wanted[2], f"line {number}: site {site!r}"
        assert (price is None) == (wanted[3] is None), f"line {number}: price {price!r}"
        if price is not None:
            assert NUMBER.fullmatch(wanted[3] or ""), f"line {number}: price {price!r}"
            assert price == float(wanted[3] or ""), f"line {number}: price {price!r}"
    for number, line in enumerate(lines[:-1], 1):
        line = line.removesuffix(b"\r")
        reason = reasons.get(number)
        if number == 1 and source["header"]:
            continue
        if len(line) > MAX_LINE_BYTES:
            assert reason == "longer than 4 MiB"
        elif b"\0" in line:
            assert reason == "holds a NUL byte"
        elif not _is_utf8(line):
            assert reason == "not valid UTF-8"
        elif not line:
            assert reason == "empty line"
        elif (width := len(line.decode().split(source["delimiter"]))) != len(COLUMNS):
            assert reason == f"{width} columns, expected {len(COLUMNS)}" or source["time"] == "archive"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
