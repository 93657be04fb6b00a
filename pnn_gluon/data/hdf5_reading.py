"""HDF5 that is read: a file says how much there is in it, and need not be right."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from pnn_gluon.errors import InputError


@contextmanager
def opened_beside(path: Path, what: str, newest: int) -> Iterator[tuple[Any, str, int]]:
    """A file beside a shard, the day that it tells and its number of ids, while it is read inside the block.

    Args:
        path: The file.
        what: What it is, for messages.
        newest: The newest format that is known.

    Raises:
        InputError: it is none, or is of a newer release; also where what is read of it is not as it should be.
    """
    try:
        with h5py.File(path, "r") as file:
            refuse_large(file, path)
            if (found := int(file.attrs["format"])) > newest:
                raise InputError(f"{path}: {what} of format {found}, written by a newer release: install that")
            yield file, str(datetime.date.fromisoformat(file.attrs["day"])), int(file.attrs["size"])
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be read as {what} ({error}); encode the day again") from error


def refuse_large(file: Any, path: Path) -> None:
    """See that nothing in an open file says that it is larger than the file; ours are not compressed.

    Raises:
        ValueError: naming what does.
    """
    size = path.stat().st_size

    def visit(name: str, found: Any) -> None:
        if isinstance(found, h5py.Dataset) and found.nbytes > size:
            raise ValueError(f"{name} of {found.nbytes:,} bytes in a file of {size:,}")

    file.visititems(visit)
