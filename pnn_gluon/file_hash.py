"""SHA-256 of files: what tells a damaged file from the one that was written."""

import hashlib
import os
import time
from pathlib import Path
from typing import TypeAlias

SETTLED_NS = 2_000_000_000
"""A file changed more recently than this may change again within one tick of its file system's clock."""

_Key: TypeAlias = tuple[int, int, int, int]

_known: dict[_Key, str] = {}
_vouched: dict[_Key, str] = {}


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; a process reads a file that stands unchanged once."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        key = _key(status)
        if key in _known:
            return _known[key]
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if time.time_ns() - status.st_mtime_ns > SETTLED_NS:
        _known[key] = digest
    return digest


def vouch(path: Path, digest: str) -> None:
    """Let the SHA-256 of a file be recorded that a manifest tells of it, for as long as the file stands unchanged."""
    _vouched[_key(path.stat())] = digest


def recorded_sha256(path: Path) -> str:
    """SHA-256 to record of a file: what was vouched for, else what it has; whoever reads the file compares it."""
    return _vouched.get(_key(path.stat())) or sha256_of(path)


def _key(status: os.stat_result) -> _Key:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
