"""Raw files of a day as pieces that can be read apart from each other, each into part files of its own.

Neighbouring small files are read together; a part file ends after so many lines of a file, or of a row of small ones.
So parts follow from the files' names, sizes and lines alone: neither how many processes read them nor whether a large
file is cut decides what is in them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pnn_gluon.data.file_content import COMPRESSIONS, START_BYTES, content_of
from pnn_gluon.data.lines import WHOLE, Digests, Span
from pnn_gluon.data.log_files import Block, DelimitedLog, JsonLog, Log
from pnn_gluon.data.raw_files import RawFile, open_stored

PART_LINES = 1 << 20
"""Most lines that a part file is made of."""

TOGETHER_BYTES = 64 << 20
"""Neighbouring files are read together up to this size, as stored."""

_CUT = DelimitedLog | JsonLog
"""Logs whose lines are records, wherever the file is cut at a newline."""

_CHUNK = 8 << 20
_NEWLINE = 10


@dataclass(frozen=True)
class Piece:
    """Neighbouring lines of a log.

    Attributes:
        log: The file.
        span: Which lines of it.
        hashed: Whether the SHA-256 of the file is known.
    """

    log: Log
    span: Span = WHOLE
    hashed: bool = False

    def blocks(self, digests: Digests | None = None) -> Iterator[Block]:
        """The lines; `digests` is as for `read_pieces`."""
        if not isinstance(self.log, _CUT):
            return self.log.blocks()
        return self.log.blocks(self.span, None if self.hashed else digests)


@dataclass(frozen=True)
class Together:
    """Files that are read together.

    Attributes:
        files: their names, in order.
        tasks: what may be read apart from each other: a large file may be cut.
    """

    files: tuple[str, ...]
    tasks: tuple[tuple[Piece, ...], ...]


def plan(logs: Sequence[Log], cut: bool, part_lines: int, digests: Digests | None = None) -> list[Together]:
    """What is read together, in the order of the files.

    Args:
        logs: The files of the day.
        cut: Whether a large file of lines is cut where its part files end; others and compressed ones are not.
        part_lines: Most lines of a part file.
        digests: Gets the SHA-256 of files that are read to be cut, if it is wanted.
    """
    together = _together(logs)
    return [Together(tuple(log.raw.name for log in logs), _tasks(logs, cut, part_lines, digests)) for logs in together]


def _tasks(logs: Sequence[Log], cut: bool, part_lines: int, digests: Digests | None) -> tuple[tuple[Piece, ...], ...]:
    if cut and len(logs) == 1 and isinstance(logs[0], _CUT):
        spans = cut_lines(logs[0].raw, part_lines, digests)
        return tuple((Piece(logs[0], span, hashed=logs[0].raw.name in (digests or {})),) for span in spans)
    return (tuple(Piece(log) for log in logs),)


def _together(logs: Iterable[Log]) -> Iterator[list[Log]]:
    """Neighbouring files up to the size, at least one each."""
    chosen: list[Log] = []
    for log in logs:
        if chosen and sum(each.raw.size for each in (*chosen, log)) > TOGETHER_BYTES:
            yield chosen
            chosen = []
        chosen.append(log)
    if chosen:
        yield chosen


def cut_lines(raw: RawFile, lines: int, digests: Digests | None = None) -> list[Span]:
    """A text file cut after every so many lines, and hashed if that is wanted; a compressed one is left whole."""
    digest = hashlib.sha256()
    with open_stored(raw) as stream:
        if content_of(stream.read(START_BYTES)) in COMPRESSIONS:
            return [WHOLE]
        stream.seek(0)
        ends, seen, offset = [0], 0, 0
        while chunk := stream.read(_CHUNK):
            if digests is not None:
                digest.update(chunk)
            data = np.frombuffer(chunk, np.uint8)
            before, seen = seen, seen + int(np.count_nonzero(data == _NEWLINE))
            if seen // lines > before // lines:
                places = np.flatnonzero(data == _NEWLINE)
                wanted = np.arange((before // lines + 1) * lines, seen + 1, lines) - before - 1
                ends += (offset + places[wanted] + 1).tolist()
            offset += len(chunk)
    if digests is not None:
        digests[raw.name] = digest.hexdigest()
    ends = [end for end in ends if end < offset] or [0]
    return [
        Span(start, stop, number * lines + 1)
        for number, (start, stop) in enumerate(zip(ends, [*ends[1:], None], strict=True))
    ]
