"""What part functions are called with."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self, TypeVar


class Part(Protocol):
    """A part of a day, and where what is made of it goes."""

    @property
    def folder(self) -> Path:
        """Where its files go."""

    def within(self, folder: Path) -> Self:
        """The same part with its files in another folder."""


P = TypeVar("P", bound=Part)


@dataclass(frozen=True)
class FilePart:
    """A part of which one file is made, and what lies beside it under the file's name.

    Attributes:
        path: the file.
    """

    path: Path

    @property
    def folder(self) -> Path:
        """Where its files go."""
        return self.path.parent

    def within(self, folder: Path) -> Self:
        """The same part with its files in another folder."""
        return replace(self, path=folder / self.path.name)
