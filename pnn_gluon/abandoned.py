"""Temporary files and folders that killed processes left.

Whoever makes one holds its lock, which the system frees when the process ends, however it ends: what nobody holds is
abandoned and may go.
"""

import fcntl
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

HELD = ".held"
"""The file in a folder whose lock is the folder's."""


def hold(path: Path) -> int | None:
    """Hold the lock of a new file or folder until the descriptor is closed; None if a cleaner was faster."""
    try:
        lock = _open(path)
    except FileNotFoundError:
        return None
    fcntl.flock(lock, fcntl.LOCK_EX)
    if _still_there(path, lock):
        return lock
    os.close(lock)
    return None


def is_abandoned(path: Path) -> bool:
    """Whether nobody holds a file or folder of this user."""
    lock = _take(path)
    if lock is not None:
        os.close(lock)
    return lock is not None


def remove_abandoned(paths: Iterable[Path]) -> None:
    """Remove those files and folders of this user that nobody holds."""
    for path in paths:
        lock = _take(path)
        if lock is None:
            continue
        try:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        finally:
            os.close(lock)


def _take(path: Path) -> int | None:
    try:
        if path.is_symlink() or path.stat().st_uid != os.geteuid():
            return None
        lock = _open(path)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _open(path: Path) -> int:
    if path.is_dir():
        return os.open(path / HELD, os.O_RDWR | os.O_CREAT, 0o600)
    return os.open(path, os.O_RDWR)


def _still_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat((path / HELD if path.is_dir() else path).stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
