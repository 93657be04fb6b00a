"""Write, fsync, rename: the one way a file appears in its final place."""

import glob
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pnn_gluon.abandoned import hold, remove_abandoned
from pnn_gluon.disk_errors import naming


def write_atomically(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Put content at path so that a reader sees the old bytes or the new ones, even after a power cut."""
    with written_atomically(path, mode) as temporary:
        temporary.write_bytes(content)


@contextmanager
def written_atomically(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """An empty file beside path, to be written: at the end of the block it takes the place of path, as a whole.

    After an error it is removed, and path is as it was; after a kill the next write of path removes it.

    Args:
        path: The final place.
        mode: Access to a new file, less the umask.

    Raises:
        OSError: naming path, whatever the system named.
    """
    with naming(path):
        make_folder(path.parent)
        remove_abandoned(temporaries(path.parent, path.name))
        temporary, lock = _held_file(path, mode)
        try:
            yield temporary
            sync_file(temporary)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(lock)
        sync_folder(path.parent)


def _held_file(path: Path, mode: int) -> tuple[Path, int]:
    """A new file beside path, and the lock that says that its writer lives."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode | stat.S_IRUSR))
        lock = hold(temporary)
        if lock is not None:
            return temporary, lock


def temporaries(folder: Path, name: str | None = None) -> list[Path]:
    """The unfinished files beside the file of this name, of whoever lives or not; of any file of the folder if None."""
    shown = "*" if name is None else glob.escape(name)
    return sorted(path for path in folder.glob(f".{shown}.????????") if path.is_file())


def move_folder(source: Path, target: Path) -> None:
    """Rename a finished folder into place after all that is in it has reached the disk."""
    for path in (*sorted(source.rglob("*")), source):
        sync_file(path)
    make_folder(target.parent)
    os.replace(source, target)
    sync_folder(target.parent)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, each with its name on the disk; it may be there already."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until a folder's entries are on the disk."""
    sync_file(path)
