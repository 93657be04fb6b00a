"""Text files as blocks of numbered lines, plain or compressed, cut at newlines without a loop over lines."""

import codecs
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pnn_gluon.data.raw_files import RawFile, open_text
from pnn_gluon.errors import InputError
from pnn_gluon.text_encoding import as_utf8

BLOCK_BYTES = 16 << 20
"""Decompressed bytes that are cut into lines at once."""

BLOCK_LINES = 1 << 17
"""Most lines of a block, however short they are: those of a row group, which blocks without bad lines then are."""

MAX_LINE_BYTES = 4 << 20
"""A longer line is set aside without being read."""

SHOWN_CHARACTERS = 1 << 16
"""Of a line that is set aside, so many characters are kept."""

LINES = pa.schema([("line", pa.int64()), ("text", pa.string())])
REJECTED = pa.schema([("line", pa.int64()), ("reason", pa.string()), ("text", pa.string())])

NOT_UTF8 = "not valid UTF-8"
HOLDS_NUL = "holds a NUL byte"
TOO_LONG = f"longer than {MAX_LINE_BYTES >> 20} MiB"
_NEWLINE, _RETURN = 10, 13

WholeLines: TypeAlias = bytes | memoryview
"""Lines with their newlines, perhaps a view of what was read."""

Digests: TypeAlias = dict[str, str]
"""SHA-256 in hexadecimal of files that were read from beginning to end, by their names."""

Bytes = NDArray[np.uint8]
Positions = NDArray[np.int64]


class Span(NamedTuple):
    """Neighbouring lines of a text file that is not compressed.

    Attributes:
        start: Where the first begins, in bytes.
        stop: Where the last has ended; None at the end of the file.
        first: The number of the first, from 1.
    """

    start: int
    stop: int | None
    first: int


WHOLE = Span(0, None, 1)
"""All lines, of a compressed file, too."""


class LineBlock(NamedTuple):
    """Neighbouring lines of a file; every line of the file is in one block, in `lines` or in `rejected`.

    Attributes:
        lines: record batch of line (number in the file, from 1) and text (without its line end).
        rejected: record batch of line, reason and text (what can't be decoded written as \\xNN).
    """

    lines: Any
    rejected: Any


def read_lines(
    raw_file: RawFile,
    block_bytes: int = BLOCK_BYTES,
    span: Span = WHOLE,
    encoding: str = "utf-8",
    digests: Digests | None = None,
) -> Iterator[LineBlock]:
    r"""Stream a file, or some of it, as blocks of lines.

    A line ends at "\n", "\r\n" or the end of the file. Lines that are not valid in their encoding, hold a NUL byte or
    are longer than `MAX_LINE_BYTES` are set aside. Memory is bounded by the block, whatever the bytes. `digests` is as
    for `read_pieces`.

    Raises:
        InputError: the file can't be opened, its compression is damaged or cut off, or it lacks the mark with which
            its encoding begins.
    """
    for data, first in read_pieces(raw_file, block_bytes, span, encoding, digests=digests):
        yield line_block(data, first)


def read_pieces(
    raw_file: RawFile,
    block_bytes: int = BLOCK_BYTES,
    span: Span = WHOLE,
    encoding: str = "utf-8",
    together: int = 1,
    digests: Digests | None = None,
) -> Iterator[tuple[bytes, int]]:
    """Stream a file as pieces of whole lines, which end with a newline, each with the number of its first line.

    Of a line that is too long its beginning is there, and shows that it is. A piece has `BLOCK_LINES` lines, or less
    where these take more than `together` times `block_bytes`. A whole file that is not compressed is in `digests` once
    it was read; a thread hashes what was read last while that is in use.

    Raises:
        InputError: as for `read_lines`.
    """
    first = span.first
    chunks = _chunks(raw_file, block_bytes, span, digests)
    chunks = chunks if encoding == "utf-8" else _decoded(raw_file, chunks, encoding)
    whole = _whole_lines(chunks if span.start else _without_mark(chunks))
    for piece, lines in _pieces(whole, together * block_bytes):
        yield piece, first
        first += lines


def _decoded(raw_file: RawFile, chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The chunks in UTF-8."""
    try:
        yield from as_utf8(chunks, encoding)
    except UnicodeError as error:
        raise InputError(
            f"{raw_file.path}: cannot be read as {encoding}: {error}; deliver it so, or correct `encoding` under "
            "[source], such as utf-16-le or utf-16-be for a file without a mark"
        ) from error


def _without_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks without the byte order mark that some programs put before UTF-8."""
    start = b""
    for data in chunks:
        start += data
        if len(start) >= len(codecs.BOM_UTF8):
            break
    yield start.removeprefix(codecs.BOM_UTF8)
    yield from chunks


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[WholeLines]:
    """The chunks cut at newlines; of a line that is too long, no more is kept than shows that it is.

    Only a line of several chunks is copied.
    """
    rest = b""
    for data in chunks:
        end = data.rfind(b"\n") + 1
        if end:
            start = data.find(b"\n") + 1 if rest else 0
            if rest:
                yield rest + data[:start]
            if start < end:
                yield memoryview(data)[start:end]
            rest = b""
        rest = (rest + data[end:])[: MAX_LINE_BYTES + 2]  # a return at the end may belong to the line end
    if rest:
        yield rest + b"\n"


def _pieces(chunks: Iterator[WholeLines], most_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Whole lines put together and cut after every `BLOCK_LINES`, with their number."""
    waiting: list[WholeLines] = []
    lines = size = 0
    for data in chunks:
        for part, count in _cut(data, BLOCK_LINES - lines):
            waiting.append(part)
            lines, size = lines + count, size + len(part)
            if lines == BLOCK_LINES or size >= most_bytes:
                yield b"".join(waiting), lines
                waiting, lines, size = [], 0, 0
    if waiting:
        yield b"".join(waiting), lines


def _cut(data: WholeLines, lines: int) -> Iterator[tuple[WholeLines, int]]:
    """Whole lines as a first part of at most so many, and further ones of at most `BLOCK_LINES`."""
    newlines = np.frombuffer(data, np.uint8) == _NEWLINE
    count = int(np.count_nonzero(newlines))
    stops = list(range(lines, count, BLOCK_LINES))
    ends = (np.flatnonzero(newlines)[np.array(stops) - 1] + 1).tolist() if stops else []
    for (start, end), (before, after) in zip(
        pairwise([0, *ends, len(data)]), pairwise([0, *stops, count]), strict=True
    ):
        yield data[start:end], after - before


def _chunks(raw_file: RawFile, size: int, span: Span, digests: Digests | None) -> Iterator[bytes]:
    at, digest = span.start, hashlib.sha256()
    try:
        with open_text(raw_file) as stream, ThreadPoolExecutor(1) as beside:
            noted = digests if span == WHOLE and not isinstance(stream, pa.CompressedInputStream) else None
            if span.start:
                stream.seek(span.start)
            while chunk := stream.read(size if span.stop is None else min(size, span.stop - at)):
                hashed = [beside.submit(digest.update, chunk)] if noted is not None else []
                yield chunk
                wait(hashed)
                at += len(chunk)
            if noted is not None:
                noted[raw_file.name] = digest.hexdigest()
    except OSError as error:
        raise InputError(
            f"{raw_file.path}: can't be read to its end: {error}; the file is damaged or cut off, deliver it again"
        ) from error


def line_block(piece: bytes, first: int) -> LineBlock:
    """The lines of a piece, numbered from `first`."""
    data = np.frombuffer(piece, np.uint8)
    ends = np.flatnonzero(data == _NEWLINE)
    starts = np.concatenate(([0], ends[:-1] + 1))
    returned = (ends > starts) & (data[ends - 1] == _RETURN)
    texts = _texts(data, ends, ends - starts - returned, ends[returned] - 1)
    numbers = np.arange(first, first + len(ends))
    reasons = _faults(data, ends, texts)
    reasons |= dict.fromkeys(np.flatnonzero(ends - starts - returned > MAX_LINE_BYTES).tolist(), TOO_LONG)
    bad = np.array(sorted(reasons), np.int64)
    rejected = pa.record_batch(
        [numbers[bad], [reasons[i] for i in bad], [shown_text(texts[int(i)].as_buffer()) for i in bad]], schema=REJECTED
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


def shown_text(line: Any) -> str:
    """The beginning of the bytes of a line as text: what can't be decoded is written as \\xNN."""
    decoded = bytes(memoryview(line)[: 4 * SHOWN_CHARACTERS]).decode("utf-8", "backslashreplace")
    return decoded.replace("\0", "\\x00")[:SHOWN_CHARACTERS]
