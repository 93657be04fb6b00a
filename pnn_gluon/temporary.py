"""Temporary folders that do not outlive their process for long: the next one made beside them removes them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pnn_gluon.abandoned import hold, remove_abandoned

_TRIES = 100
"""Times that a folder is removed, before what hinders it is an error."""


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder in an existing one, removed at the end; first those of this prefix that killed processes left go.

    Raises:
        OSError: after a block that ended well, when the folder cannot be removed: it must not pass for a result.
    """
    remove_abandoned(parent.glob(f"{prefix}*"))
    folder, lock = _held_folder(parent, prefix)
    try:
        yield folder
        _remove(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """Remove a folder, with whoever takes it for abandoned meanwhile: its lock is the first of it to go."""
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
    shutil.rmtree(folder)


def _held_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = hold(folder)
        if lock is not None:
            return folder, lock
