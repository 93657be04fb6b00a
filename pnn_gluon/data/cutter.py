"""Blocks of delimited lines cut by native code.

It does to the bytes what `sql/ingest_rows.sql` says of lines: cells apart, blanks around them off, missing ones null,
numbers read, texts as places in a dictionary. Without the library, or with `PNN_GLUON_OPERATORS=plain`, SQL does all
of that.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pnn_gluon.data.cutter_library import load_library
from pnn_gluon.data.lines import MAX_LINE_BYTES

Kind: TypeAlias = Literal["text", "number", "plain"]
"""Texts with a dictionary, numbers, or texts one by one, for those that hardly repeat."""

_KINDS: dict[Kind, int] = {"text": 0, "number": 1, "plain": 2}
EMPTY, WIDTH, NOT_UTF8, HOLDS_NUL, TOO_LONG = range(5)
"""What is wrong with a line."""


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
        self._library, self._columns = load_library(), columns
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
    load_library().pnn_md5_texts(
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
