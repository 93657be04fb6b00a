"""Part files: the rows of a day lie in one file or more, in order: `rows.parquet`, `rows-00001.parquet`, ..."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

Files: TypeAlias = Path | Sequence[Path]
"""A file, or its parts in order."""

_NUMBER = re.compile(r"-([0-9]{5,})")


def part_path(path: Path, number: int) -> Path:
    """The part of a number, from 0, of what begins at a path.

    >>> [part_path(Path("rows.parquet"), number).name for number in (0, 7)]
    ['rows.parquet', 'rows-00007.parquet']
    """
    return path.with_name(f"{path.stem}-{number:05}{path.suffix}") if number else path


def part_names(name: str, names: Iterable[str]) -> list[str]:
    """The names among others of what begins with a name, in order.

    >>> part_names("a.h5", ["a-00002.h5", "a.h5", "a.patch", "a-00001.h5", "b.h5"])
    ['a.h5', 'a-00001.h5', 'a-00002.h5']
    """
    numbered = {number: each for each in names if (number := _number(name, each)) is not None}
    return [numbered[number] for number in sorted(numbered)]


def parts_in(path: Path) -> list[Path]:
    """The parts in a folder of what begins at a path."""
    return [path.with_name(name) for name in part_names(path.name, (each.name for each in path.parent.iterdir()))]


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files."""
    for path in paths:
        path.unlink()


def listed(files: Files) -> list[Path]:
    """The parts of what may be one file."""
    return [files] if isinstance(files, Path) else list(files)


def named(files: Files) -> str:
    """Files in words, by the first of them."""
    first, *others = listed(files)
    return f"{first} and {len(others)} more" if others else str(first)


def _number(name: str, other: str) -> int | None:
    """Which part of `name` a file is; None for none."""
    if other == name:
        return 0
    whole = Path(name)
    middle = other.removeprefix(whole.stem).removesuffix(whole.suffix)
    found = _NUMBER.fullmatch(middle)
    return int(found[1]) if found and f"{whole.stem}{middle}{whole.suffix}" == other else None
