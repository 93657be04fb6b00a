"""Blocks of delimited lines cut by native code: a library that the package's build makes where there is a C++ compiler.

It does to the bytes what `sql/ingest_rows.sql` says of lines: cells apart, blanks around them off, missing ones null,
numbers read, texts as places in a dictionary. Without it, or with `PNN_GLUON_OPERATORS=plain`, SQL does all of that.

An instruction set that the processor offers is taken once a child process has cut a block with it, and cut it as the
plain instructions do; what came out is kept beside the trials of the operators.
"""

import ctypes
import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pnn_gluon.atomic import write_atomically
from pnn_gluon.data.lines import MAX_LINE_BYTES
from pnn_gluon.processor import processor_identity

LIBRARY = Path(__file__).with_name("_cutter.so")
"""What the package's build makes of `csrc`."""

SWITCH = "PNN_GLUON_OPERATORS"
"""Environment variable; `plain` leaves native code alone, here as in the operators."""

LIMIT = "PNN_GLUON_ISA"
"""Environment variable: the widest instruction set that may serve, here as in the operators."""

INSTRUCTION_SETS = ("avx512", "avx2", "baseline")
"""From the widest to the narrowest."""

SECONDS = 60.0
"""A trial that takes longer hangs; one takes a tenth of a second."""

Kind: TypeAlias = Literal["text", "number", "plain"]
"""Texts with a dictionary, numbers, or texts one by one, for those that hardly repeat."""

_KINDS: dict[Kind, int] = {"text": 0, "number": 1, "plain": 2}
EMPTY, WIDTH, NOT_UTF8, HOLDS_NUL, TOO_LONG = range(5)
"""What is wrong with a line."""

TRIAL = """
import ctypes, hashlib, sys
library = ctypes.CDLL(sys.argv[1])
isa = sys.argv[2].encode()
library.pnn_cut_new.restype = library.pnn_cut_part.restype = ctypes.c_void_p
library.pnn_cut_part.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p]
data = b"".join(b"%d\\t%x\\t\\xc3\\xa9%d\\n" % (i, i * i, i % 7) + b"\\t\\n\\0\\n" * (i % 5 == 0) for i in range(3000))
numbers = lambda *values: (ctypes.c_int32 * len(values))(*values)
handle = ctypes.c_void_p(library.pnn_cut_new(isa, 3, 9, ctypes.c_int64(1000), 3, numbers(0, 1, 2), numbers(1, 2, 0),
    numbers(0, 0, 0), 0, None, None))
library.pnn_cut_block(handle, data, ctypes.c_int64(len(data)), ctypes.c_int64(0))
found, count = hashlib.sha256(), ctypes.c_int64()
sizes = {"lines": 4, "bad_lines": 4, "numbers": 8, "codes": 4, "bytes": 1}
for what in sizes:
    for column in range(3):
        at = library.pnn_cut_part(handle, what.encode(), column, ctypes.byref(count))
        found.update(ctypes.string_at(at, count.value * sizes[what]) if count.value else b"")
digests = ctypes.create_string_buffer(32 * 17)
library.pnn_md5_texts(isa, b"x", ctypes.c_int64(1), numbers(*range(0, 18 * 9, 9)), data, ctypes.c_int64(17), digests)
found.update(digests.raw)
print(found.hexdigest())
"""
"""The child: nothing of this package."""


@cache
def instruction_set() -> str | None:
    """The widest instruction set that works here; None where the library is not there or is to be left alone.

    The environment is read once.
    """
    if os.environ.get(SWITCH) == "plain" or not LIBRARY.is_file():
        return None
    try:
        library = _library()
    except OSError as error:
        logging.getLogger(__name__).warning("%s cannot be loaded: %s", LIBRARY, error)
        return None
    limit = os.environ.get(LIMIT, "")
    allowed = INSTRUCTION_SETS[INSTRUCTION_SETS.index(limit) :] if limit in INSTRUCTION_SETS else INSTRUCTION_SETS
    digests = _digests([name for name in allowed if library.pnn_cut_offers(name.encode())])
    for name, digest in digests.items():
        if digest and digest == digests["baseline"]:
            return name
        logging.getLogger(__name__).warning("instruction set %s is left out of the cutter (%s)", name, _record())
    return None


def _digests(names: Sequence[str]) -> dict[str, str]:
    """What came out of the trials with some instruction sets, now or earlier."""
    record = _record()
    known = _read(record)
    found = {name: known.get(name) or _digest(name) for name in names}
    if found != known:
        _write(record, found)
    return found


def _digest(name: str) -> str:
    """What a child makes of the trial with an instruction set; nothing if it ends otherwise."""
    command = [sys.executable, "-I", "-S", "-c", TRIAL, str(LIBRARY), name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (subprocess.TimeoutExpired, OSError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _record() -> Path:
    """Where the outcomes for this library and processor are kept."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    key = hashlib.sha256(LIBRARY.read_bytes() + processor_identity().encode()).hexdigest()
    return folder / "pnn_gluon" / f"cutter-{key[:32]}.json"


def _read(record: Path) -> dict[str, str]:
    """What is known; nothing where there is no readable record, so that the trials are made."""
    try:
        known = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in known.items() if isinstance(v, str)} if isinstance(known, dict) else {}


def _write(record: Path, known: dict[str, str]) -> None:
    """Keep the outcomes; where that is not possible the next process makes the trials again."""
    try:
        write_atomically(record, json.dumps(known, indent=1).encode())
    except OSError as error:
        logging.getLogger(__name__).info("trials of the cutter are not kept: %s", error)


@cache
def _library() -> Any:
    library = ctypes.CDLL(str(LIBRARY))
    for name in ("pnn_cut_new", "pnn_cut_part"):
        getattr(library, name).restype = ctypes.c_void_p
    library.pnn_cut_block.restype = ctypes.c_int64
    library.pnn_cut_free.restype = library.pnn_md5_texts.restype = None
    return library


@dataclass(frozen=True)
class Cells:
    """A column of lines.

    Attributes:
        place: Of the cell in its line, from 0.
        kind: What is made of it.
        has_missing: Whether the texts that stand for nothing are nulls in it.
    """

    place: int
    kind: Kind
    has_missing: bool


@dataclass(frozen=True)
class Cut:
    """What was made of a block; rows are its good lines, in order.

    Attributes:
        size: Its lines, good and bad.
        line: int32 (rows,), number of each row in the block, from 0.
        start: int32 (rows,), where its text starts in the block.
        length: int32 (rows,), bytes of its text.
        bad_number: int32 (rows,), the first of the columns in which it has no number where it should; -1 for none.
        bad_lines: int32 (bad lines, 5): number, what is wrong, cells, start and length.
        columns: Arrow arrays of the columns: dictionaries of text, doubles, or texts.
    """

    size: int
    line: NDArray[np.int32]
    start: NDArray[np.int32]
    length: NDArray[np.int32]
    bad_number: NDArray[np.int32]
    bad_lines: NDArray[np.int32]
    columns: list[Any]


class Cutter:
    """Cuts blocks of lines of one file.

    Args:
        isa: An instruction set that works.
        width: Cells of a line.
        delimiter: The byte between them.
        columns: What is made of the lines.
        missing: Texts that stand for nothing.
    """

    def __init__(
        self, isa: str, width: int, delimiter: bytes, columns: Sequence[Cells], missing: Sequence[str]
    ) -> None:
        self._library, self._columns = _library(), columns
        texts = [text.encode() for text in missing]
        self._handle = ctypes.c_void_p(
            self._library.pnn_cut_new(
                isa.encode(),
                ctypes.c_int32(width),
                ctypes.c_int32(delimiter[0]),
                ctypes.c_int64(MAX_LINE_BYTES),
                ctypes.c_int32(len(columns)),
                *(
                    _numbers(each)
                    for each in zip(*((c.place, _KINDS[c.kind], c.has_missing) for c in columns), strict=True)
                ),
                ctypes.c_int32(len(texts)),
                (ctypes.c_char_p * len(texts))(*texts),
                _numbers([len(text) for text in texts]),
            )
        )

    def __del__(self) -> None:
        if handle := getattr(self, "_handle", None):
            self._library.pnn_cut_free(handle)

    def cut(self, data: bytes, skipped: int) -> Cut:
        """Cut a block, which ends with a newline, but for its first `skipped` lines."""
        size = self._library.pnn_cut_block(self._handle, data, ctypes.c_int64(len(data)), ctypes.c_int64(skipped))
        return Cut(
            size,
            line=self._part("lines", np.int32),
            start=self._part("starts", np.int32),
            length=self._part("lengths", np.int32),
            bad_number=self._part("bad_number", np.int32),
            bad_lines=self._part("bad_lines", np.int32).reshape(-1, 5),
            columns=[self._column(number) for number in range(len(self._columns))],
        )

    def _part(self, what: str, dtype: Any, column: int = 0) -> NDArray[Any]:
        """A copy of a part of what came out."""
        count = ctypes.c_int64()
        at = self._library.pnn_cut_part(self._handle, what.encode(), ctypes.c_int32(column), ctypes.byref(count))
        found = np.empty(count.value, dtype)
        ctypes.memmove(found.ctypes.data, at, found.nbytes)
        return found

    def _column(self, number: int) -> Any:
        valid = self._part("valid", np.uint8, number)
        nulls = pa.py_buffer(valid) if len(valid) else None
        kind = self._columns[number].kind
        if kind == "number":
            values = self._part("numbers", np.float64, number)
            return pa.Array.from_buffers(pa.float64(), len(values), [nulls, pa.py_buffer(values)])
        offsets, text = self._part("offsets", np.int32, number), self._part("bytes", np.uint8, number)
        buffers = [pa.py_buffer(offsets), pa.py_buffer(text)]
        if kind == "plain":
            return pa.Array.from_buffers(pa.string(), len(offsets) - 1, [nulls, *buffers])
        codes = self._part("codes", np.int32, number)
        places = pa.Array.from_buffers(pa.int32(), len(codes), [nulls, pa.py_buffer(codes)])
        return pa.DictionaryArray.from_arrays(places, pa.StringArray.from_buffers(len(offsets) - 1, *buffers))


def md5_texts(isa: str, prefix: str, texts: Any) -> Any:
    """md5(prefix || text) in hexadecimal of each text of an Arrow string array without nulls."""
    start, count = texts.offset, len(texts)
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[start : start + count + 1]
    digits = np.empty((count, 32), np.uint8)
    content = texts.buffers()[2]
    _library().pnn_md5_texts(
        isa.encode(),
        prefix.encode(),
        ctypes.c_int64(len(prefix.encode())),
        ctypes.c_void_p(np.ascontiguousarray(offsets).ctypes.data),
        ctypes.c_void_p(content.address if content else None),
        ctypes.c_int64(count),
        ctypes.c_void_p(digits.ctypes.data),
    )
    places = np.arange(0, 32 * count + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(places), pa.py_buffer(digits))


def _numbers(values: Sequence[int]) -> Any:
    return (ctypes.c_int32 * len(values))(*values)
