"""The runs of a table as they lie in the store."""

import datetime
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError

_FOLDERS = re.compile(r"ds=(?P<day>[0-9-]{10})/run=(?P<run>[0-9a-f]+)/")


@dataclass(frozen=True)
class RunFile:
    """A file of a run: its size, what it is on the disk, how many names it has there, and when it was written (UTC)."""

    size: int
    identity: object
    names: int
    written: datetime.datetime | None


@dataclass(frozen=True)
class Run:
    """A run of a table and day."""

    table: str
    day: datetime.date
    name: str
    files: tuple[RunFile, ...]

    @property
    def written(self) -> datetime.datetime | None:
        """When its newest file was written; None where the store does not tell."""
        return max((file.written for file in self.files if file.written is not None), default=None)


def local_runs(root: Path, table: str) -> list[Run]:
    """Those in a local folder."""
    files = []
    for path in sorted((root / table).glob("ds=*/run=*/**/*")):
        if path.is_file():
            state = path.stat()
            at = datetime.datetime.fromtimestamp(state.st_ctime, datetime.UTC)  # of a link, that of linking it
            identity = (state.st_dev, state.st_ino)
            files.append(
                (path.relative_to(root / table).as_posix(), RunFile(state.st_size, identity, state.st_nlink, at))
            )
    return runs_of(table, files)


def runs_of(table: str, files: Iterable[tuple[str, RunFile]]) -> list[Run]:
    """Files by their names below the table, as runs in the order of day and name."""
    found: dict[tuple[datetime.date, str], list[RunFile]] = defaultdict(list)
    for name, file in files:
        if (place := _place(name)) is not None:
            found[place].append(file)
    return [Run(table, day, run, tuple(each)) for (day, run), each in sorted(found.items(), key=lambda item: item[0])]


def _place(name: str) -> tuple[datetime.date, str] | None:
    """Day and run of a file; None for what is no file of a run."""
    folders = _FOLDERS.match(name)
    try:
        return None if folders is None else (parse_day(folders["day"]), folders["run"])
    except ConfigError:
        return None
