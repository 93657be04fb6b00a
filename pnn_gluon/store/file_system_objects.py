"""Objects as files of a file system by URL: HDFS, and what fsspec knows."""

import contextlib
import datetime
import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow.fs

from pnn_gluon.store.filesystem import open_filesystem
from pnn_gluon.store.objects import BLOCK, ChangedSince, Objects, StoredObject, Version


class FileSystemObjects(Objects):
    """Files below one folder. What is put is written beside its place and moved."""

    def __init__(self, url: str) -> None:
        self.filesystem: Any
        self.filesystem, self._base = open_filesystem(url)

    def stream(self, name: str) -> Iterator[bytes]:
        """The bytes of an object, block by block; FileNotFoundError when there is none."""
        with self.filesystem.open_input_stream(self._path(name)) as stream:
            while block := stream.read(BLOCK):
                yield bytes(block)

    def find(self, name: str) -> StoredObject | None:
        """What is known of an object without reading it; None when there is none."""
        (info,) = self.filesystem.get_file_info([self._path(name)])
        return StoredObject(name, info.size, _written(info)) if info.is_file else None

    def below(self, folder: str) -> list[StoredObject]:
        """Every object below a folder, however deep."""
        return [
            StoredObject(info.path[len(self._base) + 1 :], info.size, _written(info))
            for info in self._infos(folder, recursive=True)
            if info.is_file
        ]

    def inside(self, folder: str) -> tuple[list[str], list[str]]:
        """The last names of the objects and of the folders directly in a folder, each sorted."""
        infos = self._infos(folder)
        files = sorted(info.base_name for info in infos if info.is_file)
        return files, sorted(info.base_name for info in infos if info.type == pyarrow.fs.FileType.Directory)

    def put(self, name: str, blocks: Iterable[bytes], size: int, sha256: str) -> None:
        """Put an object in its place, whole or not at all; see `Objects`.

        Raises:
            OSError: when it is not as long as it should be.
        """
        folder, _, file = self._path(name).rpartition("/")
        beside = f"{folder}/.{file}.{secrets.token_hex(4)}"
        self.filesystem.create_dir(folder, recursive=True)
        try:
            with self.filesystem.open_output_stream(beside, compression=None) as stream:
                for block in blocks:
                    stream.write(block)
            self._compare_size(beside, size)
            self.filesystem.move(beside, self._path(name))
        except BaseException:
            with contextlib.suppress(OSError):  # the error that ended the write is the one that matters
                self.filesystem.delete_file(beside)
            raise

    def _compare_size(self, path: str, size: int) -> None:
        (info,) = self.filesystem.get_file_info([path])
        if info.size != size:
            raise OSError(f"{path}: {info.size} bytes arrived of {size}; run again")

    def version(self, name: str) -> Version | None:
        """The version of an object, by its content; None when there is none."""
        try:
            return {"sha256": hashlib.sha256(self.read(name)).hexdigest()}
        except FileNotFoundError:
            return None

    def replace(self, name: str, content: bytes, version: Version | None) -> None:
        """Put a small object in the place of one version, or, with None, where none is.

        What is there is read just before; a change between that and the move is not seen.

        Raises:
            ChangedSince: another object is there by now; it stays.
        """
        if self.version(name) != version:
            raise ChangedSince
        self.put(name, [content], len(content), "")

    def first_wins(self) -> bool:
        """No: between the look and the move another may come."""
        return False

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects, and folders that are empty then; those that are not there are left out."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self.filesystem.delete_file(self._path(name))
        for folder in sorted({name.rpartition("/")[0] for name in names}, key=len, reverse=True):
            if not self._infos(folder):
                with contextlib.suppress(FileNotFoundError):
                    self.filesystem.delete_dir(self._path(folder))

    def _infos(self, folder: str, recursive: bool = False) -> list[Any]:
        path = self._path(folder) if folder else self._base
        selector = pyarrow.fs.FileSelector(path, allow_not_found=True, recursive=recursive)
        return list(self.filesystem.get_file_info(selector))

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}"


def _written(info: Any) -> datetime.datetime | None:
    """When an object was written (UTC), to the millisecond; None where the file system does not tell."""
    at = info.mtime_ns
    return None if at is None else datetime.datetime.fromtimestamp(at // 10**6 / 1000, datetime.UTC)
