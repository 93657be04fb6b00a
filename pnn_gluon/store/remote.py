"""An object store as the root: run folders go up file by file, the manifest last."""

import datetime
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from pnn_gluon.errors import DamagedError
from pnn_gluon.store.bucket_url import is_bucket
from pnn_gluon.store.manifest import StoredFile, refuse_outside
from pnn_gluon.store.objects import Objects, Version, block_size
from pnn_gluon.store.runs import Run, RunFile, runs_of
from pnn_gluon.temporary import temporary_folder


def _open(url: str) -> Objects:
    if is_bucket(url):
        from pnn_gluon.store.bucket import Bucket

        return Bucket(url)
    from pnn_gluon.store.file_system_objects import FileSystemObjects

    return FileSystemObjects(url)


class Remote:
    """Runs and manifests below one URL."""

    def __init__(self, url: str) -> None:
        self.objects = _open(url)

    def read(self, name: str) -> bytes:
        """The bytes of an object; FileNotFoundError when there is none."""
        return self.objects.read(name)

    def written(self, name: str) -> datetime.datetime | None:
        """When an object was written (UTC), to the millisecond; None when there is none, or its store does not tell."""
        found = self.objects.find(name)
        return None if found is None else found.written

    def sha256(self, name: str) -> str | None:
        """SHA-256 of the bytes of an object, in hexadecimal; None when there is none."""
        digest = hashlib.sha256()
        try:
            for block in self.objects.stream(name):
                digest.update(block)
        except FileNotFoundError:
            return None
        return digest.hexdigest()

    def write(self, name: str, content: bytes) -> None:
        """Put a small object in its place, whole or not at all."""
        self.objects.put(name, [content], len(content), hashlib.sha256(content).hexdigest())

    def version(self, name: str) -> Version | None:
        """The version of an object; None when there is none."""
        return self.objects.version(name)

    def replace(self, name: str, content: bytes, version: Version | None) -> None:
        """Put a small object in the place of one version, or, with None, where none is.

        Raises:
            ChangedSince: another object is there by now; it stays.
        """
        self.objects.replace(name, content, version)

    def names(self, folder: str) -> list[str]:
        """The names of the objects directly below a folder."""
        return self.objects.inside(folder)[0]

    def folders(self) -> list[str]:
        """The names of the folders directly below the root."""
        return self.objects.inside("")[1]

    def runs(self, table: str) -> list[Run]:
        """Every run of a table."""
        files = [
            (found.name.removeprefix(f"{table}/"), RunFile(found.size, found.name, 1, found.written))
            for found in self.objects.below(table)
        ]
        return runs_of(table, files)

    def remove(self, folder: str) -> None:
        """Remove every object below a folder."""
        self.objects.remove([found.name for found in self.objects.below(folder)])

    def upload(self, folder: Path, name: str, files: Iterable[StoredFile], afresh: bool = False) -> None:
        """Put the files of a folder below name, each whole or not at all.

        One that is there is left alone: of the same size and recorded SHA-256 or, where none is recorded, of the same
        bytes. The record is of an upload that was hashed on its way; `afresh` trusts nothing and puts every file.

        Raises:
            OSError: when a file cannot be read, or is not what it was when it was described.
        """
        for file in files:
            object_name = f"{name}/{file.name}"
            if afresh or not self._there(object_name, file):
                with (folder / file.name).open("rb") as source:
                    self.objects.put(object_name, _as_described(source, file), file.size, file.sha256)

    def _there(self, name: str, file: StoredFile) -> bool:
        found = self.objects.find(name)
        if found is None or found.size != file.size:
            return False
        return (found.sha256 or self.sha256(name)) == file.sha256

    def download(self, name: str, hashes: Mapping[str, str | None], folder: Path) -> None:
        """Bring files below name into a new local folder, which appears when all of them are there and compared.

        Args:
            name: The run.
            hashes: The SHA-256 that each file must have, by its name below it; None for one that nothing is known of.
            folder: Where it appears; what another process brought there meanwhile stays.

        Raises:
            DamagedError: when a file is missing or not what it must be; no folder appears.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder.parent, ".download-") as temporary:
            whole = temporary / "run"
            whole.mkdir()
            for file, expected in hashes.items():
                _refuse_outside(name, file)
                self._bring(f"{name}/{file}", whole / file, expected)
            try:
                whole.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise

    def _bring(self, name: str, target: Path, expected: str | None) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        try:
            with target.open("wb") as sink:
                for block in self.objects.stream(name):
                    digest.update(block)
                    sink.write(block)
        except FileNotFoundError as error:
            raise DamagedError(f"{name}: missing") from error
        if expected not in {None, digest.hexdigest()}:
            raise DamagedError(f"{name}: not the bytes that were written (SHA-256 differs)")

    def recorded(self, name: str) -> dict[str, str | None]:
        """The files below name with their SHA-256 as recorded when they were put; None where none is."""
        found = [self.objects.find(each.name) for each in self.objects.below(name)]
        return {each.name.removeprefix(f"{name}/"): each.sha256 for each in found if each is not None}

    def lacking(self, name: str, files: Sequence[StoredFile]) -> list[str]:
        """What of these files is not there, by size and by the SHA-256 recorded when they were put; none is read."""
        return [text for file in files if (text := self._lack(f"{name}/{file.name}", file))]

    def _lack(self, name: str, file: StoredFile) -> str | None:
        found = self.objects.find(name)
        if found is None:
            return f"{name}: missing"
        if found.size != file.size:
            return f"{name}: {found.size:,} bytes, expected {file.size:,}"
        return None if found.sha256 in {None, file.sha256} else f"{name}: other bytes were put there (SHA-256 differs)"


def _as_described(source: BinaryIO, file: StoredFile) -> Iterator[bytes]:
    """The blocks of a file; an error at the end, so that it is not put, if they are not what was described."""
    digest, size = hashlib.sha256(), block_size(file.size)
    while block := source.read(size):
        digest.update(block)
        yield block
    if digest.hexdigest() != file.sha256:
        raise OSError(f"{source.name}: changed while it was uploaded, or cannot be read rightly; run again")


def _refuse_outside(run: str, file: str) -> None:
    """Whoever can write to an object store says what the objects are called: none may lead out of the cache."""
    try:
        refuse_outside(file)
    except ValueError as error:
        raise DamagedError(f"{run}: {error}") from error
