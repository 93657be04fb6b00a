"""SHA-256 of files: what tells a damaged file from the one that was written."""

import hashlib
import os
import time
from pathlib import Path

SETTLED_NS = 2_000_000_000
"""A file changed more recently than this may change again within one tick of its file system's clock."""

_known: dict[tuple[int, int, int, int], str] = {}


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; a process reads a file that stands unchanged once."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if key in _known:
            return _known[key]
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if time.time_ns() - status.st_mtime_ns > SETTLED_NS:
        _known[key] = digest
    return digest
