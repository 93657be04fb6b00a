"""Errors of disks, permissions and limits, told with the file they hit and what to do about them."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADVICE = {
    errno.ENOSPC: "free some space on its disk or move the store (store.root) to a larger one, then run again",
    errno.EDQUOT: "this user's quota is used up: free some space or have it raised, then run again",
    errno.EFBIG: "the file may not grow that large: raise the limit (ulimit -f, or the file system's), then run again",
    errno.EIO: "its disk cannot read or write there: see the system's log, mend or replace the disk, then run again",
    errno.EROFS: "its file system is mounted read-only: mount it for writing or move the store (store.root)",
    errno.EACCES: "this user may not do that: run as the owner of the folder, or give this user rights to it",
    errno.EPERM: "this user may not do that: run as the owner of the folder, or give this user rights to it",
    errno.EMFILE: "this process has too many files open: raise the limit (ulimit -n), then run again",
    errno.ENFILE: "the system has too many files open: end other work or raise the limit, then run again",
}
"""What to do, by error number."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the disk that names no file name this one."""
    try:
        yield
    except OSError as error:
        if error.errno in ADVICE and error.filename is None:
            error.filename = str(path)
        raise


def explained(error: OSError) -> str:
    """The error's text with what to do, where that is known."""
    advice = ADVICE.get(error.errno or 0)
    return f"{error}; {advice}" if advice else str(error)
