"""Write, fsync, rename: the one way a file appears in its final place."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Put content at path so that a reader sees the old bytes or the new ones, even after a power cut."""
    with written_atomically(path, mode) as temporary:
        temporary.write_bytes(content)


@contextmanager
def written_atomically(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """An empty file beside path, to be written: at the end of the block it takes the place of path, as a whole.

    After an error it is removed, and path is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        sync_file(temporary)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink()
        raise
    sync_folder(path.parent)


def move_folder(source: Path, target: Path) -> None:
    """Rename a finished folder into place after its files have reached the disk."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            sync_file(path)
    sync_folder(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)
    sync_folder(target.parent)


def sync_file(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until a folder's entries are on the disk."""
    sync_file(path)
