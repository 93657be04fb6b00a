"""What a disk may hold after a power cut, by the log of the calls before it.

The model is weaker than any journal: a call that changes a folder (a new name, a rename, a link, a removal) is on the
disk for certain once that folder was synced after it, and until then may be there or not, whatever became of the calls
around it. A rename is there as a whole. The bytes of a file are certain once it was synced after its last write; until
then it may hold all of them, half or none. Ext4 and XFS keep the order of such calls: they allow some of these states.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Name = tuple[int, str]
"""A name in a folder, which is known by its number."""


Call = tuple[str, Path, Path]
"""Its kind, its path and, of a rename or link, the other path."""


@dataclass(frozen=True)
class Change:
    """A call that changes folders: names that are set to a file or folder (by number), or removed (None)."""

    names: tuple[tuple[Name, int | None], ...]

    def folders(self) -> set[int]:
        """The folders it changes."""
        return {folder for (folder, _), _ in self.names}


@dataclass
class Disk:
    """Files and folders by number, the names that a process sees, and those that are on the disk for certain.

    Attributes:
        seen: what is under each name for whoever runs.
        certain: what is under each name after a power cut, whatever else is.
        pending: changes of folders that may be there or not, in order.
        dirty: files whose bytes are not certain.
        is_folder: whether a number is a folder.
    """

    seen: dict[Name, int] = field(default_factory=dict)
    certain: dict[Name, int] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)
    dirty: set[int] = field(default_factory=set)
    is_folder: list[bool] = field(default_factory=lambda: [True])

    @classmethod
    def of(cls, root: Path) -> "Disk":
        """What a folder holds, all of it on the disk."""
        disk = cls()
        for path in sorted(root.rglob("*")):
            disk.seen[disk._name(path.relative_to(root))] = disk._new(path.is_dir())
        disk.certain = dict(disk.seen)
        return disk

    def _new(self, is_folder: bool) -> int:
        self.is_folder.append(is_folder)
        return len(self.is_folder) - 1

    def _name(self, path: Path) -> Name:
        """A path's folder, by number, and its last part."""
        folder = 0
        for part in path.parts[:-1]:
            folder = self.seen[folder, part]
        return folder, path.name

    def find(self, path: Path) -> int | None:
        """What is at a path, by number; None if nothing is. The root is 0."""
        number: int | None = 0
        for part in path.parts:
            number = None if number is None else self.seen.get((number, part))
        return number

    def content(self, root: Path) -> dict[int, bytes]:
        """The bytes of the files under their names of now, by number."""
        found = ((self.find(path.relative_to(root)), path) for path in root.rglob("*") if path.is_file())
        return {number: path.read_bytes() for number, path in found if number is not None}

    def call(self, kind: str, path: Path, other: Path) -> None:
        """Take in a call of the log. One that had to fail changes nothing."""
        source = self.find(path)
        if kind in {"create", "mkdir"} and source is None and self.find(path.parent) is not None:
            self._change({path: self._new(kind == "mkdir")})
        elif kind == "unlink" and source is not None:
            self._change({path: None})
        elif kind == "rename" and source is not None:
            self._change({path: None, other: source})
        elif kind == "link" and source is not None:
            self._change({other: source})
        elif kind in {"write", "resize", "flush"} and source is not None:
            self.dirty.add(source)
        elif kind == "fsync" and source is not None:
            self._sync(source)

    def _change(self, names: Mapping[Path, int | None]) -> None:
        change = Change(tuple((self._name(path), number) for path, number in names.items()))
        self.pending.append(change)
        _apply(change, self.seen)

    def _sync(self, number: int) -> None:
        self.dirty.discard(number)
        for change in [each for each in self.pending if number in each.folders()]:
            self.pending.remove(change)
            _apply(change, self.certain)

    def after_a_power_cut(self, drawn: random.Random, most: int) -> Iterator[dict[Name, int]]:
        """Names that may be found: with none and all of the pending changes, and with some, of those `most` at most."""
        every = set(range(len(self.pending)))
        some = [{each} for each in every] + [every - {each} for each in every]
        some += [{each for each in every if drawn.random() < 0.5} for _ in range(most)]
        for kept in [set[int](), every, *drawn.sample(some, min(most, len(some)))]:
            names = dict(self.certain)
            for number in sorted(kept):
                _apply(self.pending[number], names)
            yield names

    def put(self, names: Mapping[Name, int], content: Mapping[int, bytes], share: float, path: Path) -> None:
        """Make a folder of these names, with this share of the bytes of each file that is not certain."""
        self._put(names, content, share, path, 0)

    def _put(
        self, names: Mapping[Name, int], content: Mapping[int, bytes], share: float, path: Path, folder: int
    ) -> None:
        path.mkdir()
        for name, number in [(name, number) for (parent, name), number in names.items() if parent == folder]:
            if self.is_folder[number]:
                self._put(names, content, share, path / name, number)
            else:
                whole = content.get(number, b"")
                uncertain = int(len(whole) * share)
                (path / name).write_bytes(whole[:uncertain] if number in self.dirty else whole)


def _apply(change: Change, names: dict[Name, int]) -> None:
    for name, number in change.names:
        if number is None:
            names.pop(name, None)
        else:
            names[name] = number


def read_log(log: Path, root: Path) -> list[Call]:
    """The calls in a log of the shim, with paths below a root."""
    lines = [line.split("\t") for line in log.read_text().splitlines()]
    return [(kind, Path(path).relative_to(root), Path(other or path).relative_to(root)) for kind, path, other in lines]
