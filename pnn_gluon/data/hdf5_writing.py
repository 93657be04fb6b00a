"""HDF5 that is made in memory and put on the disk by us, so that HDF5 never meets an error of the disk.

HDF5 takes such an error badly: it keeps back much of what it is given until an object is closed, h5py drops an error
that it meets then, and closing what could not be written may end the process (SIGSEGV). So HDF5 writes to a file in
memory, and gives it the bytes of one on the disk; what is finished there goes to the disk, and its memory is freed.
"""

import errno
import math
import mmap
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from pnn_gluon.disk_errors import naming

PAGE = mmap.PAGESIZE
BLOCK = 2**18
STRUCTURE = 2**20
"""Bytes that HDF5 is taken to add to the values: its own structures."""


@contextmanager
def written_hdf5(path: Path, **options: Any) -> Iterator["Hdf5Writing"]:
    """A new file, open for writing; at the end of the block all of it was handed to the system.

    Raises:
        OSError: naming the file, when the system refuses a write.
    """
    with path.open("wb", buffering=0) as disk, os.fdopen(os.memfd_create("hdf5"), "r+b", buffering=0) as memory:
        with _created(path, memory.fileno(), **options) as file:
            writing = Hdf5Writing(path, file, memory.fileno(), disk.fileno())
            yield writing
        writing.finish()


def _created(path: Path, memory: int, **options: Any) -> Any:
    """A file that HDF5 opens by its path, for want of one in memory; what it writes there, it writes again later."""
    with naming(path):
        file = h5py.File(path, "w", **options)
    os.dup2(memory, file.id.get_vfd_handle(), inheritable=False)
    return file


class Hdf5Writing:
    """A file in memory on its way to the disk; get it from `written_hdf5`.

    Attributes:
        file: What HDF5 writes to. Arrays go through `put` and `extend`, which keep no more of them in memory.
    """

    def __init__(self, path: Path, file: Any, memory: int, disk: int) -> None:
        self.file = file
        self._path, self._memory, self._disk = path, memory, disk

    def put(self, name: str, values: Any, **options: Any) -> None:
        """Write an array as a new dataset."""
        self._check_limit(values.nbytes)
        dataset = self.file.create_dataset(name, data=values, **options)
        dataset.flush()
        if values.nbytes:
            self._move(dataset.id.get_offset(), values.nbytes)

    def extend(self, dataset: Any, values: Any) -> None:
        """Add rows to a dataset: a chunk of them, or the last, which may be fewer."""
        self._check_limit(dataset.dtype.itemsize * math.prod(dataset.chunks))
        start = len(dataset)
        dataset.resize(start + len(values), axis=0)
        dataset[start:] = values
        dataset.flush()
        if len(values):
            chunk = dataset.id.get_chunk_info_by_coord((start,) + (0,) * (values.ndim - 1))
            self._move(chunk.byte_offset, chunk.size)

    def _check_limit(self, more: int) -> None:
        """Refuse so many bytes more where the file would pass the limit of this process, which is one in memory too."""
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if limit != resource.RLIM_INFINITY and os.fstat(self._memory).st_size + more + STRUCTURE > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(self._path))

    def _move(self, start: int, size: int) -> None:
        """Put bytes that HDF5 will not touch again on the disk, and free their memory: the whole pages among them."""
        first, end = -(-start // PAGE) * PAGE, (start + size) // PAGE * PAGE
        if first < end:
            self._put_on_disk(first, end)

    def finish(self) -> None:
        """Put the rest on the disk."""
        with naming(self._path):
            os.ftruncate(self._disk, os.fstat(self._memory).st_size)
        for first, end in _filled(self._memory):
            self._put_on_disk(first, end)

    def _put_on_disk(self, first: int, end: int) -> None:
        with naming(self._path):
            at = first
            while at < end:
                at += os.pwrite(self._disk, os.pread(self._memory, min(BLOCK, end - at), at), at)
        with mmap.mmap(self._memory, end - first, offset=first) as pages:
            pages.madvise(mmap.MADV_REMOVE)


def _filled(memory: int) -> Iterator[tuple[int, int]]:
    """The stretches of a file in memory that hold something: first byte, a page's first, and end."""
    size, end = os.fstat(memory).st_size, 0
    while end < size:
        try:
            first = os.lseek(memory, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing more
                return
            raise
        end = os.lseek(memory, first, os.SEEK_HOLE)
        yield first, end
