"""One process at a time, or many that shut out one: a lock the system frees when its holder ends, however it ends."""

import errno
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def file_lock(path: Path, wait: bool = True, mode: int = 0o666, shared: bool = False) -> Generator[None, None, None]:
    """Hold the lock of a file, which is made with this mode (less the umask) in an existing folder.

    An exclusive lock has one holder; a `shared` one has any number of them, and keeps out an exclusive one.

    Raises:
        BlockingIOError: another holds it, and `wait` is off.
    """
    handle = _open(path, mode)
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def _open(path: Path, mode: int) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, mode)
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.EACCES} or not path.exists():
            raise
    return os.open(path, os.O_RDONLY)  # on a read-only disk, or another user's: can be locked all the same
