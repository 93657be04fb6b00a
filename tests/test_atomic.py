"""A file appears whole or not at all, with the rights of the umask, and nothing of a killed writer stays."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pnn_gluon.abandoned import is_abandoned
from pnn_gluon.atomic import move_folder, temporaries, write_atomically, written_atomically
from pnn_gluon.temporary import temporary_folder

ROOT = Path(__file__).parents[1]
KILLED = """
import os, signal, sys
from pathlib import Path
from pnn_gluon.atomic import written_atomically
from pnn_gluon.temporary import temporary_folder
folder = Path(sys.argv[1])
with written_atomically(folder / "a[1]") as unfinished, temporary_folder(folder, ".spill-") as spill:
    (spill / "much").write_text("much")
    unfinished.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def after_a_kill(tmp_path: Path) -> Path:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    return tmp_path


def test_a_killed_writers_file_goes_with_the_next_write(after_a_kill: Path) -> None:
    (unfinished,) = temporaries(after_a_kill)
    assert is_abandoned(unfinished)
    write_atomically(after_a_kill / "a[1]", b"whole")
    assert temporaries(after_a_kill) == []
    assert (after_a_kill / "a[1]").read_bytes() == b"whole"


def test_a_killed_processs_folder_goes_with_the_next_one(after_a_kill: Path) -> None:
    with temporary_folder(after_a_kill, ".spill-") as folder:
        assert list(after_a_kill.glob(".spill-*")) == [folder]
    assert list(after_a_kill.glob(".spill-*")) == []


def test_a_temporary_folder_that_cannot_be_removed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.EIO, "no")

    held = temporary_folder(tmp_path, "t")
    (held.__enter__() / "a").touch()
    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(OSError, match="no"):
        held.__exit__(None, None, None)


def test_living_writers_do_not_disturb_each_other(tmp_path: Path) -> None:
    with (
        written_atomically(tmp_path / "a") as first,
        written_atomically(tmp_path / "a") as second,
        temporary_folder(tmp_path, "t") as here,
        temporary_folder(tmp_path, "t") as there,
    ):
        assert here.is_dir()
        assert here != there
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "a").read_text() == "first"  # the blocks end in the opposite order
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_lock_that_came_after_the_cleaner_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken, lock = [], fcntl.flock

    def faster(descriptor: int, operation: int) -> None:
        if not taken:
            taken.extend(temporaries(tmp_path))
            taken[0].unlink()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", faster)
    write_atomically(tmp_path / "a", b"whole")
    assert len(taken) == 1
    assert (tmp_path / "a").read_bytes() == b"whole"


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600), (0o002, 0o664)])
def test_new_files_keep_to_the_umask_and_secrets_to_their_owner(tmp_path: Path, umask: int, expected: int) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "a", b"")
        write_atomically(tmp_path / "secret", b"", mode=0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == expected
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "a", b"old")
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError("no")))
    with pytest.raises(OSError, match="no"):
        write_atomically(tmp_path / "a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has been asked of the disk: the names that were synced or put in their place, in that order."""
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        done.append(f"sync {os.path.relpath(os.readlink(f'/proc/self/fd/{descriptor}'), tmp_path)}")
        sync(descriptor)

    def replaced(source: Path, target: Path) -> None:
        done.append(f"{os.path.relpath(source, tmp_path)} to {os.path.relpath(target, tmp_path)}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    return done


def test_a_files_bytes_are_on_the_disk_before_its_name_and_then_the_name(tmp_path: Path, disk: list[str]) -> None:
    with written_atomically(tmp_path / "a") as unfinished:
        unfinished.write_text("whole")
    assert disk == [f"sync {unfinished.name}", f"{unfinished.name} to a", "sync ."]


def test_all_of_a_folder_is_on_the_disk_before_it_is_moved(tmp_path: Path, disk: list[str]) -> None:
    (tmp_path / "from/part").mkdir(parents=True)
    (tmp_path / "from/part/b").write_text("b")
    (tmp_path / "from/a").write_text("a")
    move_folder(tmp_path / "from", tmp_path / "to/here")
    assert sorted(disk[:4]) == ["sync from", "sync from/a", "sync from/part", "sync from/part/b"]
    assert disk[4:] == ["sync .", "from to to/here", "sync to"]
    assert (tmp_path / "to/here/part/b").read_text() == "b"


def test_the_names_of_new_folders_are_on_the_disk_before_a_file_in_them(tmp_path: Path, disk: list[str]) -> None:
    write_atomically(tmp_path / "new/folder/a", b"whole")
    assert disk[:2] == ["sync .", "sync new"]
    assert disk[-1] == "sync new/folder"
