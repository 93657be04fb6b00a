"""HDF5 written so that an error of the disk is raised, with the file's name.

HDF5 keeps back much of what it is given until an object is closed, and h5py drops an error that it meets then: a file
without some of its bytes would pass for a whole one. So all is flushed while the objects are open.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

_NUMBER = re.compile(r"errno = (\d+)")


@contextmanager
def written_hdf5(path: Path, **options: Any) -> Iterator[Any]:
    """A new file, open for writing; at the end of the block all of it was handed to the system.

    Raises:
        OSError: naming the file, when the system refuses a write.
    """
    with disk_errors(path), h5py.File(path, "w", **options) as file:
        yield file
        file.flush()


def put_dataset(group: Any, name: str, values: Any, **options: Any) -> None:
    """Write an array as a new dataset."""
    group.create_dataset(name, data=values, **options).flush()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Let an error of HDF5 that an error of the system caused be that one, of whatever type h5py makes it."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        found = _NUMBER.search(f"{error} {error.__context__}")  # closing after a failed write may fail in its own way
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(path)) from error
