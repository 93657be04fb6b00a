"""An object store as the root: run folders go up file by file, the manifest last."""

import contextlib
import datetime
import hashlib
import secrets
import shutil
from pathlib import Path
from typing import Any

import pyarrow.fs

from pnn_gluon.file_hash import sha256_of
from pnn_gluon.store.filesystem import open_filesystem
from pnn_gluon.store.runs import Run, RunFile, runs_of
from pnn_gluon.temporary import temporary_folder

_BLOCK = 1 << 22


class Remote:
    """Objects below one URL."""

    def __init__(self, url: str) -> None:
        self.filesystem: Any
        self.filesystem, self.base = open_filesystem(url)

    def read(self, name: str) -> bytes:
        """The bytes of an object; FileNotFoundError when there is none."""
        with self.filesystem.open_input_stream(f"{self.base}/{name}") as stream:
            return bytes(stream.read())

    def written(self, name: str) -> datetime.datetime | None:
        """When an object was written (UTC), to the millisecond; None when there is none, or its store does not tell."""
        (info,) = self.filesystem.get_file_info([f"{self.base}/{name}"])
        return _written(info)

    def sha256(self, name: str) -> str | None:
        """SHA-256 of an object, in hexadecimal; None when there is none."""
        try:
            with self.filesystem.open_input_stream(f"{self.base}/{name}") as stream:
                digest = hashlib.sha256()
                while block := stream.read(_BLOCK):
                    digest.update(block)
        except FileNotFoundError:
            return None
        return digest.hexdigest()

    def write(self, name: str, content: bytes) -> None:
        """Put a small object in its place, whole or not at all.

        What an exception ends is put there all the same when a stream is closed, so it is written beside first.
        """
        path = f"{self.base}/{name}"
        folder, _, file = path.rpartition("/")
        beside = f"{folder}/.{file}.{secrets.token_hex(4)}"
        self.filesystem.create_dir(folder, recursive=True)
        try:
            with self.filesystem.open_output_stream(beside) as stream:
                stream.write(content)
            self.filesystem.move(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):  # the error that ended the write is the one that matters
                self.filesystem.delete_file(beside)
            raise

    def names(self, folder: str) -> list[str]:
        """The names of the objects directly below a folder."""
        selector = pyarrow.fs.FileSelector(f"{self.base}/{folder}", allow_not_found=True)
        infos = self.filesystem.get_file_info(selector)
        return sorted(info.base_name for info in infos if info.type == pyarrow.fs.FileType.File)

    def folders(self) -> list[str]:
        """The names of the folders directly below the root."""
        selector = pyarrow.fs.FileSelector(self.base, allow_not_found=True)
        infos = self.filesystem.get_file_info(selector)
        return sorted(info.base_name for info in infos if info.type == pyarrow.fs.FileType.Directory)

    def runs(self, table: str) -> list[Run]:
        """Every run of a table."""
        base = f"{self.base}/{table}"
        selector = pyarrow.fs.FileSelector(base, allow_not_found=True, recursive=True)
        files = [
            (info.path[len(base) + 1 :], RunFile(info.size, info.path, 1, _written(info)))
            for info in self.filesystem.get_file_info(selector)
            if info.type == pyarrow.fs.FileType.File
        ]
        return runs_of(table, files)

    def remove(self, folder: str) -> None:
        """Remove a folder and every object below it."""
        self.filesystem.delete_dir(f"{self.base}/{folder}")

    def upload(self, folder: Path, name: str) -> None:
        """Put every file of a folder below name; one that is there with the same bytes is left alone.

        An upload that an exception ends leaves a part of the object: so it never takes the place of a good one.

        Raises:
            OSError: when an object is not as long as its file afterwards.
        """
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            object_name = f"{name}/{path.relative_to(folder).as_posix()}"
            if self._size(object_name) == path.stat().st_size and self.sha256(object_name) == sha256_of(path):
                continue
            self._put(path, object_name)

    def _put(self, path: Path, name: str) -> None:
        target = f"{self.base}/{name}"
        self.filesystem.create_dir(target.rpartition("/")[0], recursive=True)
        with path.open("rb") as source, self.filesystem.open_output_stream(target) as sink:
            shutil.copyfileobj(source, sink, _BLOCK)
        size, expected = self._size(name), path.stat().st_size
        if size != expected:
            raise OSError(f"{target}: {size} bytes arrived of {expected}; run again")

    def _size(self, name: str) -> int | None:
        """Bytes of an object; None when there is none."""
        (info,) = self.filesystem.get_file_info([f"{self.base}/{name}"])
        return info.size if info.type == pyarrow.fs.FileType.File else None

    def download(self, name: str, folder: Path) -> bool:
        """Bring everything below name into a new local folder; False when there is nothing."""
        base = f"{self.base}/{name}"
        selector = pyarrow.fs.FileSelector(base, allow_not_found=True, recursive=True)
        files = [info for info in self.filesystem.get_file_info(selector) if info.type == pyarrow.fs.FileType.File]
        if not files:
            return False
        folder.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder.parent, ".download-") as temporary:
            whole = temporary / "run"
            for info in files:
                target = whole / info.path[len(base) + 1 :]
                target.parent.mkdir(parents=True, exist_ok=True)
                with self.filesystem.open_input_stream(info.path) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, _BLOCK)
            whole.rename(folder)
        return True


def _written(info: Any) -> datetime.datetime | None:
    """When an object was written (UTC), to the millisecond; None where the store does not tell."""
    at = info.mtime_ns
    return None if at is None else datetime.datetime.fromtimestamp(at // 10**6 / 1000, datetime.UTC)
