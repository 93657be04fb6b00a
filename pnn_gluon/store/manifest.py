"""The manifest of a day partition: what it holds, what it was made from, by which configuration."""

import dataclasses
import datetime
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Self

from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError, DamagedError
from pnn_gluon.file_hash import recorded_sha256, sha256_of

FORMAT = 2
"""Of the manifests that are written. The first, of release 0.1, told neither the step's version nor its options."""

CHECKSUM = "checksum"
"""Key of the hash of everything else in a manifest; manifests of earlier releases have none."""


@dataclasses.dataclass(frozen=True)
class StoredFile:
    """A file of a run: its name inside the run folder, size in bytes and SHA-256.

    Raises:
        ValueError: its name leads out of the folder.
    """

    name: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        refuse_outside(self.name)


@dataclasses.dataclass(frozen=True)
class Manifest:
    """One whole day of one table.

    `run` names the content: equal files, rows and details give the same run, wherever and whenever made.
    `inputs` maps what was read (`table/day` or `raw/file`) to the run or hash that was read; None = not there.
    `config` is the hash of the options that the step depended on; `options` are those of them that differed from their
    defaults, None in the first format; `version` is the step's.
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
    options: Mapping[str, Any] | None = None
    version: int = 1
    format: int = 1

    def same_work(self, other: "Manifest") -> bool:
        """Whether two manifests tell of the same content, made from the same inputs with the same options and code."""
        return (self.run, self.inputs, self.config, self.version) == (
            other.run,
            other.inputs,
            other.config,
            other.version,
        )

    def file(self, name: str) -> StoredFile | None:
        """One of its files; None where there is none of this name."""
        return next((file for file in self.files if file.name == name), None)

    def to_json(self) -> bytes:
        """Canonical JSON with its own checksum: the same manifest is the same bytes."""
        fields = {**dataclasses.asdict(self), "day": self.day.isoformat()}
        return (_canonical({**fields, CHECKSUM: _checksum(fields)}) + "\n").encode()

    @classmethod
    @functools.lru_cache(maxsize=4096)  # most of the time that states of many days take goes into reading a manifest
    def from_json(cls, content: bytes) -> Self:
        """Read a manifest back, and see that nothing in it changed since.

        Raises:
            DamagedError: saying what is wrong.
        """
        try:
            fields = json.loads(content)
            checksum = fields.pop(CHECKSUM, None)
            if checksum not in {None, _checksum(fields)}:
                raise DamagedError("its content does not agree with its checksum")
            if fields.get("format", 1) > FORMAT:
                raise DamagedError(f"of format {fields['format']}, written by a newer release than this: install that")
            fields["day"] = parse_day(fields["day"])
            fields["files"] = tuple(StoredFile(**file) for file in fields["files"])
            manifest = cls(**fields)
            _check_types(manifest)
            run = content_run(manifest.files, manifest.rows, manifest.details)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ConfigError) as error:
            raise DamagedError(f"not a partition manifest ({error})") from error
        if run != manifest.run:
            raise DamagedError(f"files, rows and details are of run {run}, not of run {manifest.run}")
        return manifest


_KINDS = {"rows": int, "inputs": dict, "config": str, "made_by": dict, "details": dict, "version": int}


def _check_types(manifest: Manifest) -> None:
    """See that values are of their types, which a manifest without a checksum does not tell otherwise.

    Raises:
        TypeError: naming the first that is not.
    """
    values = [(name, getattr(manifest, name), kind) for name, kind in _KINDS.items()]
    values += [("options", {} if manifest.options is None else manifest.options, dict)]
    values += [(f"the run of {name}", run or "", str) for name, run in manifest.inputs.items()]
    for file in manifest.files:
        values += [(f"the size of {file.name}", file.size, int), (f"the hash of {file.name}", file.sha256, str)]
    for name, value, kind in values:
        if not isinstance(value, kind):
            raise TypeError(f"{name}: expected {kind.__name__}, received {value!r}")


def refuse_outside(name: str) -> None:
    """See that the name of a file leads to a place within its folder.

    Raises:
        ValueError: it does not.
    """
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in name:
        raise ValueError(f"a file of the name {name!r} is in no folder of a run")


def _checksum(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(fields).encode()).hexdigest()


def _canonical(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, indent=1, sort_keys=True, allow_nan=False)


def content_run(files: Sequence[StoredFile], rows: int, details: Mapping[str, Any]) -> str:
    """The name of a run: 16 hexadecimal digits of the hash of everything it holds."""
    content = [[file.name, file.sha256] for file in sorted(files, key=lambda file: file.name)]
    text = json.dumps([content, rows, details], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint(options: Mapping[str, Any]) -> str:
    """SHA-256 of the options that a step depended on."""
    return hashlib.sha256(json.dumps(options, sort_keys=True, allow_nan=False).encode()).hexdigest()


def describe_files(folder: Path) -> tuple[StoredFile, ...]:
    """Every file below a folder, by name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple(
        StoredFile(path.relative_to(folder).as_posix(), path.stat().st_size, recorded_sha256(path)) for path in paths
    )


def damages(folder: Path, manifest: Manifest) -> list[str]:
    """What is wrong with the files of a run, one text a file; empty when all are as they were written."""
    known = {file.name for file in manifest.files}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    strange = [f"{folder / name}: not a file of this run" for name in sorted(found - known)]
    return [text for file in manifest.files if (text := damage(folder / file.name, file))] + strange


def damage(path: Path, file: StoredFile) -> str | None:
    """What is wrong with a file of a run; None when it is as it was written."""
    if not path.is_file():
        return f"{path}: missing"
    size = path.stat().st_size
    if size != file.size:
        return f"{path}: {size:,} bytes, expected {file.size:,}"
    return None if sha256_of(path) == file.sha256 else f"{path}: not the bytes that were written (SHA-256 differs)"
