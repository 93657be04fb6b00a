"""What the store asks of the place where its objects lie."""

import abc
import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

BLOCK = 1 << 23
"""Bytes that are read, sent and hashed at once."""

Version: TypeAlias = Mapping[str, str]
"""What tells one state of an object from the next: opaque, as its place names it."""


class ChangedSince(Exception):
    """An object is no longer of the version that it was to be put in the place of."""


@dataclass(frozen=True)
class StoredObject:
    """An object: its name below the root, size, when it was written (UTC), and the SHA-256 recorded when it was put.

    `written` and `sha256` are None where the place does not tell; `sha256` also in a list of objects.
    """

    name: str
    size: int
    written: datetime.datetime | None
    sha256: str | None = None


class Objects(abc.ABC):
    """Objects below one URL, by their names below it. What goes wrong is an OSError that names the object."""

    @abc.abstractmethod
    def stream(self, name: str) -> Iterator[bytes]:
        """The bytes of an object, block by block; FileNotFoundError when there is none."""

    @abc.abstractmethod
    def find(self, name: str) -> StoredObject | None:
        """What is known of an object without reading it; None when there is none."""

    @abc.abstractmethod
    def below(self, folder: str) -> list[StoredObject]:
        """Every object below a folder, however deep."""

    @abc.abstractmethod
    def inside(self, folder: str) -> tuple[list[str], list[str]]:
        """The last names of the objects and of the folders directly in a folder, each sorted."""

    @abc.abstractmethod
    def put(self, name: str, blocks: Iterable[bytes], size: int, sha256: str) -> None:
        """Put an object in its place, whole or not at all.

        An exception, also one that giving the blocks ends with, leaves what was there before.

        Args:
            name: The object.
            blocks: Its bytes, each but the last of `block_size(size)`.
            size: The sum of their lengths.
            sha256: Is recorded where the place has room for it.
        """

    @abc.abstractmethod
    def version(self, name: str) -> Version | None:
        """The version of an object; None when there is none."""

    @abc.abstractmethod
    def replace(self, name: str, content: bytes, version: Version | None) -> None:
        """Put a small object in the place of one version, or, with None, where none is.

        Raises:
            ChangedSince: another object is there by now; it stays.
        """

    @abc.abstractmethod
    def first_wins(self) -> bool:
        """Whether, of two `replace` of one version at the same moment, the first wins; else the last one does."""

    @abc.abstractmethod
    def remove(self, names: Sequence[str]) -> None:
        """Remove objects; those that are not there are left out."""

    def read(self, name: str) -> bytes:
        """The bytes of a small object; FileNotFoundError when there is none."""
        return b"".join(self.stream(name))


def block_size(size: int) -> int:
    """Bytes of a block of an object of this size, so that 10,000 are enough: no more parts make up an object.

    >>> block_size(100) == block_size(50 * 10**9) == BLOCK
    True
    >>> 10**12 / block_size(10**12) <= 10_000
    True
    """
    return max(BLOCK, -(-size // 9_000))
