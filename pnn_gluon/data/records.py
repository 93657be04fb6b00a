r"""Text files as records: lines cut into cells by rules that plain lines do not need.

A cell may be enclosed in quotes, in which a quote is written twice, and a character after the escape stands for itself,
in quotes or not; with `newlines` a record goes on in the next line where a quote or an escape is open. Lines that begin
with `comment` between records are passed over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pnn_gluon.data.lines import BLOCK_BYTES, MAX_LINE_BYTES, NOT_UTF8, REJECTED, LineBlock, read_lines
from pnn_gluon.data.raw_files import RawFile

RECORD_LINES = 256
"""Most lines of a record; a quote that is still open then was none, and its line is set aside."""

UTF8 = "utf-8"
NONE_REJECTED = pa.RecordBatch.from_pylist([], REJECTED)
_CELLS = pa.list_(pa.string())


class Split(NamedTuple):
    """The cells of a line, if it is a whole record; else what is open at its end, if anything: a newline may follow."""

    cells: list[str] | None
    open: Literal["quote", "escape", ""] = ""


@dataclass(frozen=True)
class RecordForm:
    """How records are written.

    Attributes:
        delimiter: what stands between cells, one character or more.
        quote: the character around cells, or nothing.
        escape: the character after which one stands for itself, or nothing.
        newlines: whether a cell may go on in the next line.
        comment: how lines begin that are no records, or nothing.
        encoding: the codec of the file.
        kept: texts of whole cells that are read as they are written, such as an escaped N for no value.
    """

    delimiter: str
    quote: str = ""
    escape: str = ""
    newlines: bool = False
    comment: str = ""
    encoding: str = UTF8
    kept: frozenset[str] = frozenset()

    @cached_property
    def _within(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, filter(None, (self.quote, self.escape)))))

    @cached_property
    def _between(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, filter(None, (self.escape, self.delimiter)))))

    def split(self, text: str) -> Split:
        r"""The cells of a line.

        >>> RecordForm("||", quote='"', escape="\\").split('a\\||b||"c||""d"').cells
        ['a||b', 'c||"d']
        """
        cells: list[str] = []
        at = 0
        while True:
            start = at
            quoted = bool(self.quote) and text.startswith(self.quote, at)
            cell, at, left_open = self._quoted(text, at) if quoted else self._plain(text, at)
            if left_open:
                return Split(None, left_open)
            if not quoted and text[start:at] in self.kept:
                cell = text[start:at]
            cells.append(cell)
            if at == len(text):
                return Split(cells)
            if not text.startswith(self.delimiter, at):
                return Split(None)
            at += len(self.delimiter)

    def _plain(self, text: str, at: int) -> tuple[str, int, Literal["escape", ""]]:
        """A cell without quotes around it, where it ends, and whether an escape is open there."""
        parts: list[str] = []
        while found := self._between.search(text, at):
            parts.append(text[at : found.start()])
            if found.group() != self.escape:
                return "".join(parts), found.start(), ""
            if found.end() == len(text):
                return "", len(text), "escape"
            parts.append(text[found.end()])
            at = found.end() + 1
        return "".join((*parts, text[at:])), len(text), ""

    def _quoted(self, text: str, at: int) -> tuple[str, int, Literal["quote", ""]]:
        """A cell in quotes, where it ends, and whether they are open there."""
        parts: list[str] = []
        at += 1
        while found := self._within.search(text, at):
            parts.append(text[at : found.start()])
            after = text[found.end() : found.end() + 1]
            if found.group() == self.quote and after != self.quote:
                return "".join(parts), found.end(), ""
            parts.append(after)
            at = found.end() + 1
        return "", len(text), "quote"

    def goes_on(self, text: str, before: Split) -> Split:
        """What is open after a line that follows a line with something open; cells are of no meaning."""
        if before.open == "quote":
            return self.split(self.quote + text)
        return self.split(f"x{text}")


class RecordBlock(NamedTuple):
    """Neighbouring records.

    Attributes:
        lines: record batch of line (the number of the first line), text and, where cells are not what lies between
            delimiters, cells, an empty list where quotes do not match.
        rejected: record batch of line, reason, text.
        passed: lines that are neither: comments, and lines of records but the first.
    """

    lines: Any
    rejected: Any
    passed: int


def read_records(
    raw: RawFile, form: RecordForm, most_cells: int, block_bytes: int = BLOCK_BYTES
) -> Iterator[RecordBlock]:
    """Stream a file as blocks of records, of which each has at most so many cells, and whose memory is bounded.

    Raises:
        InputError: the file can't be opened, or its compression is damaged or cut off.
    """
    rest: Any = None
    for block in _and_an_end(read_lines(raw, block_bytes, encoding=form.encoding)):
        lines = block.lines if block else rest
        if lines is None:
            return
        if block and rest is not None:
            lines = pa.concat_batches([rest, lines])
        whole, rest = _joined(lines, form, last=block is None)
        passed = lines.num_rows - whole.num_rows - (0 if rest is None else rest.num_rows)
        whole, comments = _without_comments(whole, form)
        bad = block.rejected if block else NONE_REJECTED
        rejected = _said(bad, form)
        yield RecordBlock(
            _with_cells(whole, form, most_cells), rejected, passed + comments + bad.num_rows - rejected.num_rows
        )


def first_record(raw: RawFile, form: RecordForm) -> tuple[int, list[str]] | None:
    """The number and the cells of the first record; None in a file without one, no cells where it can't be read."""
    for block in read_records(raw, form, MAX_LINE_BYTES, 1 << 16):
        if block.rejected.num_rows and (not block.lines.num_rows or _first(block.rejected) < _first(block.lines)):
            return _first(block.rejected), []
        if block.lines.num_rows:
            return _first(block.lines), form.split(block.lines["text"][0].as_py()).cells or []
    return None


def _first(lines: Any) -> int:
    return int(lines["line"][0].as_py())


def _and_an_end(blocks: Iterator[LineBlock]) -> Iterator[LineBlock | None]:
    yield from blocks
    yield None


def _joined(lines: Any, form: RecordForm, last: bool) -> tuple[Any, Any]:
    """Lines whose records are whole, those of several lines as one; and the lines from the first that may go on."""
    if not form.newlines:
        return lines, None
    texts, numbers = lines["text"], lines["line"].to_numpy()
    kept, records, count, free = np.ones(len(texts), bool), dict[int, str](), len(texts), 0
    for start in np.flatnonzero(_holds(texts, form.quote) | _holds(texts, form.escape)).tolist():
        if start < free or (form.comment and texts[start].as_py().startswith(form.comment)):
            continue
        end = _end_of_record(texts, numbers, start, form, last)
        if end is None:
            count = start
            break
        if end > start:
            records[start] = "\n".join(texts[start : end + 1].to_pylist())
            kept[start + 1 : end + 1] = False
        free = end + 1
    whole = _with_texts(lines.slice(0, count), records).filter(pa.array(kept[:count]))
    return whole, lines.slice(count) if count < len(texts) else None


def _end_of_record(texts: Any, numbers: Any, start: int, form: RecordForm, last: bool) -> int | None:
    """Where the record that begins with a line ends; in this line if it is none; None if more lines must be seen."""
    text = texts[start].as_py()
    end, split, size = start, form.split(text), len(text)
    while split.open:
        end += 1
        if end - start == RECORD_LINES or size > MAX_LINE_BYTES:
            return start
        if end == len(texts):
            return start if last else None
        if numbers[end] != numbers[end - 1] + 1:
            return start
        text = texts[end].as_py()
        size += len(text)
        split = form.goes_on(text, split)
    return start if split.cells is None else end


def _with_texts(lines: Any, records: dict[int, str]) -> Any:
    """Lines with other texts in some places."""
    if not records:
        return lines
    marks = np.zeros(lines.num_rows, bool)
    marks[list(records)] = True
    texts = pc.replace_with_mask(lines["text"], pa.array(marks), pa.array(list(records.values()), pa.string()))
    return lines.set_column(lines.schema.get_field_index("text"), "text", texts)


def _holds(texts: Any, symbol: str) -> Any:
    """Which texts hold a symbol, if there is one, as an array of numpy."""
    if not symbol:
        return np.zeros(len(texts), bool)
    return pc.match_substring(texts, symbol).to_numpy(zero_copy_only=False)


def _without_comments(lines: Any, form: RecordForm) -> tuple[Any, int]:
    """Lines that are no comments, and how many are."""
    if not form.comment:
        return lines, 0
    rows = lines.filter(pc.invert(pc.starts_with(lines["text"], form.comment)))
    return rows, lines.num_rows - rows.num_rows


def _with_cells(lines: Any, form: RecordForm, most_cells: int) -> Any:
    """Lines with the cells of those that SQL can't take apart, or had better not."""
    texts = lines["text"]
    wide = pc.greater_equal(pc.count_substring(texts, form.delimiter), most_cells).to_numpy(zero_copy_only=False)
    chosen = _holds(texts, form.quote) | _holds(texts, form.escape) | wide
    rows = [(form.split(text).cells or [])[:most_cells] for text in texts.filter(pa.array(chosen)).to_pylist()]
    offsets = np.zeros(len(chosen) + 1, np.int32)
    offsets[1:][chosen] = [len(row) for row in rows]
    cells = pa.array([cell for row in rows for cell in row], pa.string())
    ends = pa.array(np.cumsum(offsets, dtype=np.int32))
    return lines.append_column("cells", pa.ListArray.from_arrays(ends, cells, _CELLS, mask=pa.array(~chosen)))


def _said(rejected: Any, form: RecordForm) -> Any:
    """Rejects that are no comments, of which the reason names the encoding of the file."""
    rejected, _ = _without_comments(rejected, form) if rejected.num_rows else (rejected, 0)
    if form.encoding == UTF8 or not rejected.num_rows:
        return rejected
    wrong = pc.equal(rejected["reason"], NOT_UTF8)
    reasons = pc.if_else(wrong, f"not valid {form.encoding}", rejected["reason"])
    return rejected.set_column(rejected.schema.get_field_index("reason"), "reason", reasons)
