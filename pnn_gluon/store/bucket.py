"""Objects in a bucket of S3 (and what speaks its language), Google Cloud Storage or Azure."""

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from pnn_gluon.errors import ConfigError, PnnError
from pnn_gluon.store.bucket_url import open_bucket, shown
from pnn_gluon.store.objects import BLOCK, ChangedSince, Objects, StoredObject, Version, block_size

if TYPE_CHECKING:
    from obstore import ObjectMeta, UpdateVersion

SHA256 = "sha256"
"""The metadata of an object that holds the SHA-256 of what was put."""

_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")
_ROLES_ADDRESS = "169.254.169.254"
_NO_CREDENTIALS = "no credentials in the environment (AWS_ACCESS_KEY_ID, say), and no role of this machine: "
_RIGHTS = "see that the credentials in the environment are right and may read, write, list and delete there"

_process: int | None = None
"""The process that made the first request."""

_AT_ONCE = 4
"""Parts of an object that are under way together."""


class Bucket(Objects):
    """Objects below a prefix of a bucket. No object stands for a folder.

    An object of more than one block goes up in parts, and is there once all of them are. What an exception or a kill
    ends is never put together: its parts are seen by no reader, and a rule of the bucket removes them.
    """

    def __init__(self, url: str) -> None:
        self._store, self._shown = open_bucket(url), shown(url)

    def stream(self, name: str) -> Iterator[bytes]:
        """The bytes of an object, block by block; FileNotFoundError when there is none."""
        with self._naming(name):
            for block in obstore.get(self._store, name).stream(min_chunk_size=BLOCK):
                yield bytes(block)

    def find(self, name: str) -> StoredObject | None:
        """What is known of an object without reading it; None when there is none."""
        try:
            with self._naming(name):
                found = obstore.get(self._store, name, options={"head": True})
        except FileNotFoundError:
            return None
        return _stored(found.meta, found.attributes.get(SHA256))

    def below(self, folder: str) -> list[StoredObject]:
        """Every object below a folder, however deep."""
        with self._naming(folder):
            return [_stored(meta) for metas in obstore.list(self._store, f"{folder}/") for meta in metas]

    def inside(self, folder: str) -> tuple[list[str], list[str]]:
        """The last names of the objects and of the folders directly in a folder, each sorted."""
        with self._naming(folder):
            found = obstore.list_with_delimiter(self._store, f"{folder}/" if folder else None)
        return _last_names(meta["path"] for meta in found["objects"]), _last_names(found["common_prefixes"])

    def put(self, name: str, blocks: Iterable[bytes], size: int, sha256: str) -> None:
        """Put an object in its place, whole or not at all; see `Objects`."""
        recorded = {SHA256: sha256}
        with self._naming(name):
            if size <= BLOCK:
                obstore.put(self._store, name, b"".join(blocks), attributes=recorded, use_multipart=False)
            else:
                obstore.put(
                    self._store,
                    name,
                    blocks,
                    attributes=recorded,
                    use_multipart=True,
                    chunk_size=block_size(size),
                    max_concurrency=_AT_ONCE,
                )

    def version(self, name: str) -> Version | None:
        """The version of an object; None when there is none."""
        try:
            with self._naming(name):
                meta = obstore.head(self._store, name)
        except FileNotFoundError:
            return None
        told = {"e_tag": meta["e_tag"], "version": meta["version"]}
        return {key: value for key, value in told.items() if value is not None}

    def replace(self, name: str, content: bytes, version: Version | None) -> None:
        """Put a small object in the place of one version, or, with None, where none is.

        A request that was sent twice, because the first answer was lost, finds its own object: that is no change.
        Where the server is not asked to compare (`AWS_CONDITIONAL_PUT=disabled`), its version is read just before.

        Raises:
            ChangedSince: another object is there by now; it stays.
        """
        try:
            self._put_if(name, content, "create" if version is None else _update(version))
        except (AlreadyExistsError, PreconditionError) as error:
            if self.read(name) != content:
                raise ChangedSince from error
        except NotImplementedError:
            if self.version(name) != version:
                raise ChangedSince from None
            self._put_if(name, content, "overwrite")

    def _put_if(self, name: str, content: bytes, mode: "Literal['create', 'overwrite'] | UpdateVersion") -> None:
        with self._naming(name, AlreadyExistsError, PreconditionError):
            obstore.put(self._store, name, content, mode=mode, use_multipart=False)

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects; those that are not there are left out."""
        for name in names:
            with suppress(FileNotFoundError), self._naming(name):
                obstore.delete(self._store, name)

    def first_wins(self) -> bool:
        """Whether the server keeps the first of two objects for one empty place; tried with one that is removed."""
        name = f".probe-{secrets.token_hex(8)}"
        try:
            self._put_if(name, b"1", "create")
            self._put_if(name, b"2", "create")
        except AlreadyExistsError:
            return True
        except NotImplementedError:
            return False
        finally:
            self.remove([name])
        return False

    @contextmanager
    def _naming(self, name: str, *told: type[BaseError]) -> Iterator[None]:
        """Let an error be one of the disk that names the object, but for those that are told as they are."""
        _stay_in_one_process()
        try:
            yield
        except told:
            raise
        except (FileNotFoundError, BaseError) as error:
            raise self._explained(name, error) from error

    def _explained(self, name: str, error: Exception) -> Exception:
        """An error of the client as one of ours or of the disk."""
        text, place = str(error), f"{self._shown}/{name}"
        said = text.partition("\n")[0]
        if any(word in text for word in _NO_BUCKET):
            return ConfigError(f"{self._shown}: there is no such bucket; make it, or mend the URL")
        if isinstance(error, FileNotFoundError):
            return FileNotFoundError(f"{place}: not there")
        if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
            return PermissionError(f"{place}: refused; {_RIGHTS}: {said}")
        return OSError(f"{place}: {_NO_CREDENTIALS if _ROLES_ADDRESS in text else ''}{said}")


def _stay_in_one_process() -> None:
    """Refuse what would wait for ever: the client's threads, begun by the first request, survive no fork."""
    global _process
    if _process is None:
        _process = os.getpid()
    if _process != os.getpid():
        raise PnnError("a bucket was used before this process was forked: fork before, or start a fresh process")


def _stored(meta: "ObjectMeta", sha256: str | None = None) -> StoredObject:
    at = meta["last_modified"]
    return StoredObject(meta["path"], meta["size"], at.replace(microsecond=at.microsecond // 1000 * 1000), sha256)


def _last_names(paths: Iterable[str]) -> list[str]:
    return sorted(path.rpartition("/")[2] for path in paths)


def _update(version: Version) -> "UpdateVersion":
    told: UpdateVersion = {}
    if "e_tag" in version:
        told["e_tag"] = version["e_tag"]
    if "version" in version:
        told["version"] = version["version"]
    return told
