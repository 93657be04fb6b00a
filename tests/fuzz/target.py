"""What every fuzzer is: it draws inputs from a seed, and says whether what reads them does as it should."""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from pnn_gluon.errors import PnnError


@dataclass(frozen=True)
class Case:
    """An input.

    Attributes:
        parts: What it is made of, such as lines or changes of bytes; a smaller input has fewer of them.
        options: All else.
    """

    parts: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def with_parts(self, kept: Iterable[int]) -> "Case":
        """The input with some of its parts."""
        return replace(self, parts=tuple(self.parts[number] for number in kept))


class Target(Protocol):
    """Something that is read."""

    def draw(self, drawn: random.Random) -> Case:
        """An input."""
        ...

    def check(self, case: Case, folder: Path) -> None:
        """Read it, in an empty folder.

        Raises:
            Exception: of any kind, where what reads it did not do as it should.
        """
        ...


def drawn_case(target: Target, name: str, seed: int) -> Case:
    """The input of a seed: the same on every machine."""
    return target.draw(random.Random(f"{name} {seed}"))


def refusal(work: Callable[[], object]) -> str | None:
    """What a user is told where something is refused; None where it is done. Other errors are raised."""
    try:
        work()
    except PnnError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class Edit:
    """A change of bytes: from a place on, a share of the whole, some are left out, and others stand there instead."""

    place: float
    dropped: int
    put: bytes


def drawn_edit(drawn: random.Random, size: int) -> Edit:
    """A change of a file of some size: a flipped byte, a cut, bytes that are twice there, others in their place."""
    place, kind = drawn.random(), drawn.randrange(6)
    if kind == 0:
        return Edit(place, size, b"")
    if kind == 1:
        return Edit(place, drawn.randrange(1, 64), b"")
    if kind == 2:
        return Edit(place, 0, drawn.randbytes(drawn.randrange(1, 16)))
    if kind == 3:
        width = drawn.choice([1, 2, 4, 8])
        return Edit(place, width, drawn.choice([b"\0", b"\xff", b"\x7f", b"\x80"]) * width)
    return Edit(place, 1, bytes([drawn.randrange(256)]))


def edited(content: bytes, edits: Iterable[Edit]) -> bytes:
    """The bytes with changes, one after the other."""
    for edit in edits:
        at = int(edit.place * len(content))
        content = content[:at] + edit.put + content[at + edit.dropped :]
    return content


PATHS = ["../x", "/etc/passwd", "a/../../x", "", ".", "x" * 5000, "\0", "s3://x/../y", "\ud800", "<b>", "ü"]
VALUES: list[Any] = [None, True, 0, -1, 2**31, 2**63, 10**30, 1e308, -0.5, float("nan"), float("inf"), [], {}, [[]]]
VALUES += [{"a": 1}, "x", "2026-11-01", "9999-99-99", [1, "a"], [None], {"": None}, *PATHS]


@dataclass(frozen=True)
class Put:
    """A change of a JSON document: the value of a number, in the order of reading, is another, or is left out."""

    number: int
    value: Any
    gone: bool = False


def drawn_put(drawn: random.Random) -> Put:
    """A change of some value."""
    return Put(drawn.randrange(10**6), drawn.choice(VALUES), gone=drawn.random() < 0.15)


def changed(document: Any, put: Put) -> Any:
    """A document with another value somewhere; the root counts, too."""
    places = list(_places(document))
    if not places or put.number % 29 == 0:
        return put.value
    holder, key = places[put.number % len(places)]
    if put.gone:
        del holder[key]
    else:
        holder[key] = put.value
    return document


def _places(document: Any) -> Iterable[tuple[Any, Any]]:
    keys = document.keys() if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in list(keys):
        yield document, key
        yield from _places(document[key])
