"""The runs of an object store that this machine has: the least recently used go when they take too much room."""

import contextlib
import fcntl
import os
import weakref
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pnn_gluon.store.discarded import discard


@dataclass(frozen=True)
class _Kept:
    """A run: when it was last used (ns), and its files by what they are on the disk, with their sizes."""

    folder: Path
    used: int
    files: dict[int, int]


class Cache:
    """Run folders below one folder, and a limit of their bytes; a file with several names counts once.

    A run that a process uses stays: the process holds a lock on its folder as long as this object lives, and the system
    frees it when the process ends, however it ends.

    Attributes:
        limit: The most bytes, None for no limit. What is in use may take more.
    """

    def __init__(self, folder: Path, limit: int | None) -> None:
        self.limit = limit
        self._folder = folder
        self._held: dict[Path, int] = {}
        weakref.finalize(self, _close, self._held)

    def use(self, folder: Path) -> bool:
        """Let a run stay from now on, as the one used last; False when it is not here."""
        while (handle := _opened(folder)) is not None:
            fcntl.flock(handle, fcntl.LOCK_SH)
            if _is_at(handle, folder):
                with contextlib.suppress(PermissionError):  # another user's
                    os.utime(handle)
                self.release(folder)  # only now: in between another process might remove it
                self._held[folder] = handle
                return True
            os.close(handle)  # it went before the lock was had
        self.release(folder)
        return False

    def release(self, folder: Path) -> None:
        """Let a run go if others want its room."""
        if (handle := self._held.pop(folder, None)) is not None:
            os.close(handle)

    def make_room(self, size: int) -> None:
        """Remove the runs that were not used for longest, until so many bytes fit in; none that is in use."""
        if self.limit is None:
            return
        runs = sorted(self._runs(), key=lambda run: run.used)
        names = Counter(file for run in runs for file in run.files)
        sizes = {file: bytes_ for run in runs for file, bytes_ in run.files.items()}
        left = sum(sizes.values())
        for run in runs:
            if left + size <= self.limit:
                return
            if self._remove(run.folder):
                names.subtract(run.files.keys())
                left -= sum(sizes[file] for file in run.files if names[file] == 0)

    def _runs(self) -> list[_Kept]:
        found = []
        for folder in self._folder.glob("*/ds=*/run=*"):
            with contextlib.suppress(FileNotFoundError):  # another process removes it
                states = [path.stat() for path in folder.rglob("*") if path.is_file()]
                files = {state.st_ino: state.st_size for state in states}
                found.append(_Kept(folder, folder.stat().st_mtime_ns, files))
        return found

    def _remove(self, folder: Path) -> bool:
        """Remove a run; False when a process uses it."""
        if (handle := _opened(folder)) is None:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            discard(self._folder, folder)
        except BlockingIOError:
            return False
        finally:
            os.close(handle)
        return True


def _opened(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None


def _is_at(handle: int, folder: Path) -> bool:
    """Whether an open folder still has this name."""
    try:
        return os.path.samestat(os.fstat(handle), folder.stat())
    except FileNotFoundError:
        return False


def _close(handles: dict[Path, int]) -> None:
    for handle in handles.values():
        os.close(handle)
