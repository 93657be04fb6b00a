"""Which raw files were read together, into which part files: so that a late file makes only its own part anew."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ReadTogether:
    """Raw files that were read together.

    Attributes:
        files: their names, in order.
        lines: their lines but headers.
        headers: their header lines.
        other_days: their lines of other days.
        parts: how many part files they were made into.
        settled: whether a row of them was left out, or got its label, because of a line elsewhere.
    """

    files: tuple[str, ...]
    lines: int
    headers: int
    other_days: int
    parts: int
    settled: bool = False


@dataclass(frozen=True)
class Earlier:
    """What of an earlier reading of the day still holds.

    Attributes:
        read: By the names of files that are as they were then: what they were made into, and those part files.
        rejects: Rejects of that reading, of all files.
    """

    read: Mapping[tuple[str, ...], tuple[ReadTogether, Sequence[Path]]] = field(default_factory=dict)
    rejects: Path | None = None


NOTHING = Earlier()


def to_json(read: Iterable[ReadTogether]) -> str:
    """The groups in the order of their part files."""
    return json.dumps([asdict(each) for each in read], indent=1) + "\n"


def unchanged(
    content: bytes, parts: Sequence[Path], changed: set[str]
) -> dict[tuple[str, ...], tuple[ReadTogether, Sequence[Path]]]:
    """The groups of an earlier reading that hold: none of their files changed, and nothing in them was settled.

    Args:
        content: What `to_json` gave.
        parts: The part files of that reading.
        changed: Names of files that are new, gone, or not as they were.
    """
    found: dict[tuple[str, ...], tuple[ReadTogether, Sequence[Path]]] = {}
    first = 0
    for told in json.loads(content):
        group = ReadTogether(**{**told, "files": tuple(told["files"])})
        if not group.settled and not changed & set(group.files):
            found[group.files] = group, list(parts[first : first + group.parts])
        first += group.parts
    return found
