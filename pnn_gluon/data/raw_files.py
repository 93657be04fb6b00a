"""Raw files of a day: listed by a pattern in a local folder or an object store, opened, and fingerprinted."""

import datetime
import fnmatch
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs

from pnn_gluon.config import day_path, patterns_of, placed
from pnn_gluon.data.file_content import COMPRESSIONS, START_BYTES, content_of, is_text
from pnn_gluon.days import plus
from pnn_gluon.errors import InputError
from pnn_gluon.store.filesystem import open_filesystem

SUFFIXES = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""Suffixes of compressed files, in either case; how a file is read is decided by its content."""

COPY_BYTES = 4096
"""Files of different folders or days may have the same bytes by chance if they are smaller."""

_WILDCARD = re.compile(r"[*?\[]")
_FOLDERS = "**"
_READ = "plain or compressed with gzip, zstd or bz2"
_CHUNK = 8 << 20


class NoRawFiles(InputError):
    """No file of the day is there."""


@dataclass(frozen=True)
class RawFile:
    """A file of raw lines.

    Attributes:
        name: path relative to the pattern's fixed folder (the part before the first wildcard or day), or to what the
            fixed folders of several patterns have in common: the same wherever the data lie.
        path: where the file is: a local path or a URL.
        size: bytes, as stored.
        folder: the fixed folder, a local path or a URL.
        modified: nanoseconds since 1970 of the last change, where the file system tells.
    """

    name: str
    path: str
    size: int
    folder: str
    modified: int | None = None

    @property
    def plain_name(self) -> str:
        """The name without the suffix of a compression, so that compressing a file changes no row id."""
        stem, dot, suffix = self.name.rpartition(".")
        return stem if dot + suffix.lower() in SUFFIXES else self.name

    @property
    def named_compression(self) -> str | None:
        """How the file is compressed, by its suffix."""
        return next((codec for suffix, codec in SUFFIXES.items() if self.name.lower().endswith(suffix)), None)


def list_raw_files(patterns: str | Sequence[str], day: datetime.date, base: Path) -> tuple[RawFile, ...]:
    """The files of a day, sorted by name.

    A pattern is a path, relative to `base`, or a URL: the forms of the day are filled in; `*`, `?` and `[...]`
    stand for characters within one folder or file name, a part `**` for any number of folders that are no links; names
    that begin with a dot or an underscore (markers such as `_SUCCESS`) match no part that begins with a wildcard.
    A pattern that ends in a folder means the files directly in it. A file that several patterns match is there once.

    Raises:
        NoRawFiles: no file matches one of the patterns.
        InputError: a file is there twice, compressed in two ways.
    """
    given = patterns_of(patterns)
    folder, below, query = placed(given, base)
    filesystem, root = _open_folder(folder + query)
    found: dict[str, Any] = {}
    for pattern, parts in zip(given, below, strict=True):
        wanted = [day_path(part, day) for part in parts]
        matched = dict(_matches(filesystem, root, wanted))
        if not matched:
            folders = bool(_matches(filesystem, root, [*wanted, "*"]))
            raise NoRawFiles(
                f"{pattern}: no raw file for {day}; looked for {folder}/{'/'.join(wanted)}; "
                + ("folders are called so: end the pattern in /*, or " if folders else "")
                + "deliver the day's files, or correct the path under [source]"
            )
        found |= matched
    files = tuple(
        RawFile(name, f"{folder}/{name}{query}", int(info.size), folder + query, info.mtime_ns)
        for name, info in sorted(found.items())
    )
    _refuse_twins(files)
    return files


def list_days_of_files(patterns: str | Sequence[str], day: datetime.date, more: int, base: Path) -> tuple[RawFile, ...]:
    """The files of a day, and those of so many days after it that are there, each once, sorted by name.

    Raises:
        NoRawFiles: no file of the first day matches one of the patterns.
        InputError: as for one day.
    """
    found = {file.name: file for file in list_raw_files(patterns, day, base)}
    for number in range(1, more + 1):
        with suppress(NoRawFiles):
            found |= {file.name: file for file in list_raw_files(patterns, plus(day, number), base)}
    return tuple(found[name] for name in sorted(found))


def fingerprint(raw_file: RawFile) -> str:
    """SHA-256 of the file as stored, in hexadecimal."""
    digest, chunk = hashlib.sha256(), memoryview(bytearray(_CHUNK))
    with open_stored(raw_file) as stream:
        while size := stream.readinto(chunk):
            digest.update(chunk[:size])
    return digest.hexdigest()


def open_stored(raw_file: RawFile) -> Any:
    """The file's bytes as stored: a pyarrow file to read from, with random access.

    Raises:
        InputError: the file can't be opened.
    """
    filesystem, base = _open_folder(raw_file.folder)
    try:
        return filesystem.open_input_file(f"{base}/{raw_file.name}")
    except OSError as error:
        raise InputError(f"{raw_file.path}: can't be opened: {error}; deliver the file again") from error


def open_text(raw_file: RawFile) -> Any:
    """The file's bytes, decompressed where they are compressed, whatever its suffix says: a pyarrow stream.

    Raises:
        InputError: the file can't be opened, holds no lines, or is called compressed and has no byte.
        OSError: the file can't be read.
    """
    stream = open_stored(raw_file)
    start = stream.read(START_BYTES)
    stream.seek(0)
    content, named = content_of(start), raw_file.named_compression
    if content in COMPRESSIONS:
        return pa.CompressedInputStream(stream, content)
    if content:
        raise InputError(f"{raw_file.path}: holds {content}; expected lines, {_READ}; deliver it so")
    if named and not raw_file.size:
        raise InputError(f"{raw_file.path}: 0 bytes, not even an empty {named} file; it is cut off, deliver it again")
    if named and not is_text(start):
        raise InputError(
            f"{raw_file.path}: begins with the bytes {start[:8].hex(' ')}, neither {named} nor text; "
            f"expected lines, {_READ}; the file is damaged, deliver it again"
        )
    return stream


def _open_folder(folder: str) -> tuple[Any, str]:
    return open_filesystem(folder) if "://" in folder else (pyarrow.fs.LocalFileSystem(), folder)


def _matches(filesystem: Any, base: str, wanted: list[str], name: str = "") -> list[tuple[str, Any]]:
    """Name and description of every file below the base whose path matches part by part, perhaps twice."""
    if wanted[0] == _FOLDERS:
        return _matches_below(filesystem, base, wanted, name)
    found, last = [], len(wanted) == 1
    for part, info in _children(filesystem, base, name, wanted[0]):
        below = f"{name}/{part}" if name else part
        if last and info.is_file:
            found.append((below, info))
        elif info.type == pyarrow.fs.FileType.Directory and not (last and _WILDCARD.search(wanted[0])):
            found += _matches(filesystem, base, wanted[1:] or ["*"], below)
    return found


def _matches_below(filesystem: Any, base: str, wanted: list[str], name: str) -> list[tuple[str, Any]]:
    """What matches the parts after `**` in the folder, or in any below it but links, which may lead round in a ring."""
    found = _matches(filesystem, base, wanted[1:] or ["*"], name)
    for part, info in _children(filesystem, base, name, "*"):
        if info.type == pyarrow.fs.FileType.Directory and not _is_link(filesystem, info.path):
            found += _matches(filesystem, base, wanted, f"{name}/{part}" if name else part)
    return found


def _is_link(filesystem: Any, path: str) -> bool:
    return isinstance(filesystem, pyarrow.fs.LocalFileSystem) and os.path.islink(path)


def _children(filesystem: Any, base: str, name: str, part: str) -> list[tuple[str, Any]]:
    folder = f"{base}/{name}" if name else base
    if not _WILDCARD.search(part):
        return [(part, filesystem.get_file_info(f"{folder}/{part}"))]
    infos = filesystem.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True))
    named = [(info.base_name, info) for info in infos if part[0] in "._" or info.base_name[0] not in "._"]
    return [(child, info) for child, info in named if fnmatch.fnmatchcase(child, part)]


def copies(files: Iterable[RawFile]) -> list[tuple[RawFile, RawFile]]:
    """Files that hold the same bytes as an earlier one, with that one: perhaps one file delivered twice.

    Files of different folders must have 4 KiB or more: shorter ones may be equal by chance.
    """
    found, seen = [], dict[tuple[str, int, str], RawFile]()
    listed = tuple(files)
    sizes = Counter(file.size for file in listed)
    for file in listed:
        if sizes[file.size] > 1:
            folder = "" if file.size >= COPY_BYTES else file.name.rpartition("/")[0]
            twin = seen.setdefault((folder, file.size, fingerprint(file)), file)
            found += [(file, twin)] if twin != file else []
    return found


def _refuse_twins(files: tuple[RawFile, ...]) -> None:
    seen: dict[str, str] = {}
    for file in files:
        twin = seen.setdefault(file.plain_name, file.name)
        if twin != file.name:
            raise InputError(f"{file.path}: the same file as {twin}, compressed in another way; keep one of them")
