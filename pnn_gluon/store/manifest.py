"""The manifest of a day partition: what it holds, what it was made from, by which configuration."""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pnn_gluon.days import parse_day
from pnn_gluon.errors import InputError


@dataclasses.dataclass(frozen=True)
class StoredFile:
    """A file of a run: its name inside the run folder, size in bytes and SHA-256."""

    name: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """One whole day of one table.

    `run` names the content: equal files, rows and details give the same run, wherever and whenever made.
    `inputs` maps what was read (`table/day` or `raw/file`) to the run or hash that was read; None = not there.
    `made_by` says with what it was made (versions, threads, processor); it decides nothing.
    """

    table: str
    day: datetime.date
    run: str
    rows: int
    files: tuple[StoredFile, ...]
    inputs: Mapping[str, str | None]
    config: str
    made_by: Mapping[str, str]
    details: Mapping[str, Any]

    def to_json(self) -> bytes:
        """Canonical JSON: the same manifest is the same bytes."""
        fields = {**dataclasses.asdict(self), "day": self.day.isoformat()}
        return (json.dumps(fields, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes, where: str) -> Self:
        """Read a manifest back.

        Raises:
            InputError: naming where it lies, when it is not a manifest.
        """
        try:
            fields = json.loads(content)
            fields["day"] = parse_day(fields["day"])
            fields["files"] = tuple(StoredFile(**file) for file in fields["files"])
            return cls(**fields)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{where}: not a partition manifest ({error}); rerun the step with --force") from error


def content_run(files: Sequence[StoredFile], rows: int, details: Mapping[str, Any]) -> str:
    """The name of a run: 16 hexadecimal digits of the hash of everything it holds."""
    content = [[file.name, file.sha256] for file in sorted(files, key=lambda file: file.name)]
    text = json.dumps([content, rows, details], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def describe_files(folder: Path) -> tuple[StoredFile, ...]:
    """Every file below a folder, by name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple(
        StoredFile(path.relative_to(folder).as_posix(), path.stat().st_size, sha256_of(path)) for path in paths
    )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
