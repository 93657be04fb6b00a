"""Text files as blocks of numbered lines, plain, .gz or .zst, cut at newlines without a loop over lines."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pnn_gluon.data.raw_files import RawFile, open_text
from pnn_gluon.errors import InputError

BLOCK_BYTES = 16 << 20
"""Decompressed bytes that are cut into lines at once."""

MAX_LINE_BYTES = 64 << 20
"""A longer line means that the file is not made of lines."""

LINES = pa.schema([("line", pa.int64()), ("text", pa.string())])
REJECTED = pa.schema([("line", pa.int64()), ("reason", pa.string()), ("text", pa.string())])

NOT_UTF8 = "not valid UTF-8"
HOLDS_NUL = "holds a NUL byte"
_NEWLINE, _RETURN = 10, 13

Bytes = NDArray[np.uint8]
Positions = NDArray[np.int64]


class LineBlock(NamedTuple):
    """Neighbouring lines of a file; every line of the file is in one block, in `lines` or in `rejected`.

    Attributes:
        lines: record batch of line (number in the file, from 1) and text (without its line end).
        rejected: record batch of line, reason and text (what can't be decoded written as \\xNN).
    """

    lines: Any
    rejected: Any


def read_lines(raw_file: RawFile, block_bytes: int = BLOCK_BYTES) -> Iterator[LineBlock]:
    r"""Stream a file as blocks of lines.

    A line ends at "\n", "\r\n" or the end of the file. Lines that are not valid UTF-8 or hold a NUL byte are
    set aside. Memory is bounded by the block.

    Raises:
        InputError: the file can't be opened, its compression is damaged or cut off, or a line has no end.
    """
    first, rest = 1, b""
    for data in _chunks(raw_file, block_bytes):
        data = rest + data
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if len(rest) > MAX_LINE_BYTES:
            raise InputError(
                f"{raw_file.path}: a line is longer than {MAX_LINE_BYTES >> 20} MiB; expected a text file of lines"
            )
        if end:
            block = _cut(np.frombuffer(data, np.uint8, end), first)
            first += block.lines.num_rows + block.rejected.num_rows
            yield block
    if rest:
        yield _cut(np.frombuffer(rest + b"\n", np.uint8), first)


def _chunks(raw_file: RawFile, size: int) -> Iterator[bytes]:
    try:
        with open_text(raw_file) as stream:
            while chunk := stream.read(size):
                yield chunk
    except OSError as error:
        raise InputError(
            f"{raw_file.path}: can't be read to its end: {error}; the file is damaged or cut off, deliver it again"
        ) from error


def _cut(data: Bytes, first: int) -> LineBlock:
    """Lines of a block of bytes that ends with a newline."""
    ends = np.flatnonzero(data == _NEWLINE)
    starts = np.concatenate(([0], ends[:-1] + 1))
    returned = (ends > starts) & (data[ends - 1] == _RETURN)
    texts = _texts(data, ends, ends - starts - returned, ends[returned] - 1)
    numbers = np.arange(first, first + len(ends))
    reasons = _faults(data, ends, texts)
    bad = np.array(sorted(reasons), np.int64)
    rejected = pa.record_batch(
        [numbers[bad], [reasons[i] for i in bad], [_shown(texts[int(i)]) for i in bad]], schema=REJECTED
    )
    lines = pa.record_batch([pa.array(numbers), texts], schema=LINES)
    if len(bad):
        good = np.ones(len(ends), bool)
        good[bad] = False
        lines = lines.filter(pa.array(good))
    return LineBlock(lines, rejected)


def _texts(data: Bytes, ends: Positions, lengths: Positions, returns: Positions) -> Any:
    """The lines as a string array: the bytes without line ends, and the offsets."""
    kept = data != _NEWLINE
    kept[returns] = False
    offsets = np.zeros(len(ends) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data[kept]))


def _faults(data: Bytes, ends: Positions, texts: Any) -> dict[int, str]:
    """Places of the lines that are not text, with the reason."""
    faults: dict[int, str] = {}
    if data.max() >= 0x80 and not _valid(texts):
        suspects = np.unique(np.searchsorted(ends, np.flatnonzero(data >= 0x80)))
        faults |= {int(i): NOT_UTF8 for i in suspects if not _valid(texts[int(i) : int(i) + 1])}
    if data.min() == 0:
        faults |= {int(i): HOLDS_NUL for i in np.unique(np.searchsorted(ends, np.flatnonzero(data == 0)))}
    return faults


def _valid(texts: Any) -> bool:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _shown(text: Any) -> str:
    decoded: str = text.as_buffer().to_pybytes().decode("utf-8", "backslashreplace")
    return decoded.replace("\0", "\\x00")
