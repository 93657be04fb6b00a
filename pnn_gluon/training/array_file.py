"""MXNet's files of named arrays, read without MXNet, which hangs or ends the process where a file was cut or changed.

Little-endian numbers: LIST, 0 and how many arrays (uint64 each); the arrays; how many names (uint64), and each name's
bytes behind their number (uint64). An array is DENSE (uint32), its kind of storage (int32, 0), its number of dimensions
(int32) and their sizes (int64), two numbers of its device (int32), the number of its type (int32), and its values.
`src/ndarray/ndarray.cc` of MXNet 1.9 writes them so; sparse arrays and files of earlier releases are refused.
"""

import math
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.errors import InputError

LIST, DENSE = 0x112, 0xF993FAC9
TYPES = ("f4", "f8", "f2", "u1", "i4", "i1", "i8", "?")
MOST_DIMENSIONS = 32


def mapped_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name, in its order.

    They are the file's bytes, which the system reads when they are used first: the file must stay as it is (it may be
    removed, or replaced by name). What is written into an array stays in this process. Copy them into MXNet's arrays:
    one that shared their memory would be let go by a thread of MXNet's, which waits for Python while a fork in Python
    waits for that thread.

    Raises:
        InputError: the file is missing, or holds not what it should; everything is compared with its length first.
    """
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise InputError(f"{path}: cannot be read as parameters ({error})") from error
    return _Reader(path, content).arrays()


class _Reader:
    """Where reading is in a file that is being read."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self._path, self._content, self._at = path, content, 0

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays of the file, which end where it ends."""
        first, _, count = self._numbers("QQQ")
        self._expect("a file of arrays that begins with", LIST, first)
        arrays = [self._array() for _ in self._counted(count)]
        (named,) = self._numbers("Q")
        self._expect("names of as many arrays:", count, named)
        names = [self._name() for _ in self._counted(named)]
        self._expect("different names:", count, len(set(names)))
        self._expect("an end at byte", len(self._content), self._at)
        return dict(zip(names, arrays, strict=True))

    def _array(self) -> NDArray[Any]:
        kind, storage, dimensions = self._numbers("Iii")
        self._expect("an array of kind", (DENSE, 0), (kind, storage))
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise self._odd(f"1 to {MOST_DIMENSIONS} dimensions", dimensions)
        shape = self._numbers(f"{dimensions}q")
        _, _, number = self._numbers("iii")
        if min(shape) < 1 or not 0 <= number < len(TYPES):
            raise self._odd(f"sizes from 1 on and a type below {len(TYPES)}", (shape, number))
        return self._values(np.dtype(TYPES[number]), shape)

    def _values(self, kind: "np.dtype[Any]", shape: tuple[int, ...]) -> NDArray[Any]:
        size = math.prod(shape)
        begin = self._passed(size * kind.itemsize)
        return np.frombuffer(self._content, kind, size, begin).reshape(shape)

    def _name(self) -> str:
        (length,) = self._numbers("Q")
        begin = self._passed(length)
        name = self._content[begin : self._at]
        try:
            if b"\0" not in name:  # where MXNet's would end
                return name.decode()
        except UnicodeDecodeError:
            pass
        raise self._odd("a name in UTF-8 without zeros", name[:40])

    def _counted(self, count: int) -> Iterator[int]:
        """As many numbers, of things of at least 8 bytes each."""
        if 8 * count > len(self._content) - self._at:
            raise self._odd("room for what is counted", f"{count:,} in {len(self._content) - self._at:,} bytes")
        yield from range(count)

    def _numbers(self, kinds: str) -> tuple[int, ...]:
        form = struct.Struct(f"<{kinds}")
        return form.unpack_from(self._content, self._passed(form.size))

    def _passed(self, size: int) -> int:
        """Go on by so many bytes, which must be there; where they begin."""
        if size > len(self._content) - self._at:
            raise self._odd(f"{size:,} bytes more", f"{len(self._content) - self._at:,}")
        self._at += size
        return self._at - size

    def _expect(self, what: str, expected: object, found: object) -> None:
        if found != expected:
            raise self._odd(f"{what} {expected}", found)

    def _odd(self, expected: str, found: object) -> InputError:
        return InputError(
            f"{self._path}: cannot be read as parameters: expected {expected}, found {found} at byte {self._at:,} of "
            f"{len(self._content):,}; copy the file again, or run again what wrote it"
        )
