"""SHA-256 of raw files that were read before, so that what only looks at a day need not read them again."""

import json
import os
from contextlib import suppress
from pathlib import Path

from pnn_gluon.atomic import write_atomically
from pnn_gluon.data.raw_files import RawFile, fingerprint


class KnownDigests:
    """What this machine knows of the raw files of one kind and day, kept in a JSON file that may be lost at any time.

    A digest counts as long as the file has the size and times it had when it was read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _load(path)

    def read(self, raw_file: RawFile) -> str:
        """SHA-256 of the file as it is now, in hexadecimal; remembered unless the file changed meanwhile."""
        before = stamp(raw_file)
        digest = fingerprint(raw_file)
        self.note(raw_file, before, digest)
        return digest

    def note(self, raw_file: RawFile, before: str, digest: str) -> None:
        """Remember the SHA-256 of a file that was read since it had a stamp, unless it changed meanwhile."""
        if before == stamp(raw_file) and self._known.get(raw_file.name) != (entry := [before, digest]):
            self._known[raw_file.name] = entry
            self._keep()

    def recall(self, raw_file: RawFile) -> str:
        """SHA-256 of a file that was read before, which is read again if it changed since; else empty."""
        entry = self._known.get(raw_file.name)
        if entry is None:
            return ""
        return entry[1] if entry[0] == stamp(raw_file) else self.read(raw_file)

    def _keep(self) -> None:
        with suppress(OSError):  # where nothing can be written, as in somebody else's store, files are read again
            write_atomically(self._path, json.dumps(self._known, sort_keys=True).encode())


def stamp(raw_file: RawFile) -> str:
    """What changes whenever the file does; of an object in a store its time is all there is. Empty if it is gone."""
    if "://" in raw_file.path:
        return f"{raw_file.size} {raw_file.modified}"
    try:
        now = os.stat(raw_file.path)
    except FileNotFoundError:
        return ""
    return f"{now.st_size} {now.st_mtime_ns} {now.st_ctime_ns} {now.st_ino}"


def _load(path: Path) -> dict[str, list[str]]:
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {name: entry for name, entry in known.items() if isinstance(entry, list) and len(entry) == 2}
