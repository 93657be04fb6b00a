"""What part functions are called with."""

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
