"""A machine keeps the runs it used last, within a limit, and never loses one that is in use."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from pnn_gluon.days import plus
from pnn_gluon.store import cache
from pnn_gluon.store.cache import Cache
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import Store
from tests.store.test_store import DAY, make

SIZE = 1000
"""Bytes of each run."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four runs, used in the order of their days."""
    for number in range(4):
        add(tmp_path, number)
    return tmp_path


def run(folder: Path, number: int) -> Path:
    return folder / "rows" / f"ds={plus(DAY, number)}" / "run=1"


def add(folder: Path, number: int) -> None:
    run(folder, number).mkdir(parents=True)
    (run(folder, number) / "a").write_bytes(b"x" * SIZE)
    os.utime(run(folder, number), ns=(0, 1000 + number))


def left(folder: Path) -> list[int]:
    return [number for number in range(4) if run(folder, number).is_dir()]


@pytest.mark.parametrize(
    ("limit", "size", "stay"),
    [(None, SIZE, [0, 1, 2, 3]), (4, 0, [0, 1, 2, 3]), (4, 1, [1, 2, 3]), (3, 1, [2, 3]), (2, 5, [])],
)
def test_those_that_were_not_used_for_longest_go(folder: Path, limit: int | None, size: int, stay: list[int]) -> None:
    Cache(folder, None if limit is None else limit * SIZE).make_room(size * SIZE)
    assert left(folder) == stay


def test_to_use_a_run_makes_it_the_last_to_go(folder: Path) -> None:
    other = Cache(folder, None)
    assert other.use(run(folder, 0))
    del other
    Cache(folder, 2 * SIZE).make_room(0)
    assert left(folder) == [0, 3]


def test_a_run_in_use_stays_whatever_the_limit(folder: Path) -> None:
    mine, limited = Cache(folder, None), Cache(folder, SIZE)
    assert mine.use(run(folder, 1))
    assert limited.use(run(folder, 2))
    limited.make_room(SIZE)
    assert left(folder) == [1, 2]
    mine.release(run(folder, 1))
    limited.make_room(0)
    assert left(folder) == [2]


HOLDER = """
import sys
from pathlib import Path
from pnn_gluon.store import cache
from pnn_gluon.store.cache import Cache
cache = Cache(Path(sys.argv[1]), None)
print(cache.use(Path(sys.argv[2])), flush=True)
sys.stdin.read()
"""


def test_a_run_that_is_used_again_is_never_free_in_between(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    using, other, opened = Cache(folder, None), Cache(folder, 1), cache._opened
    assert using.use(run(folder, 3))

    def while_another_makes_room(path: Path) -> int | None:
        monkeypatch.setattr(cache, "_opened", opened)
        other.make_room(0)
        return opened(path)

    monkeypatch.setattr(cache, "_opened", while_another_makes_room)
    assert using.use(run(folder, 3))
    assert left(folder) == [3]


def test_a_run_in_use_by_another_process_stays_until_that_ends_however_it_ends(folder: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(folder), str(run(folder, 0))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        Cache(folder, 1).make_room(0)
        assert left(folder) == [0]
        process.kill()
    Cache(folder, 1).make_room(0)
    assert left(folder) == []


def test_a_file_of_several_runs_counts_once_and_is_freed_with_the_last(folder: Path) -> None:
    for number in (1, 2):
        (run(folder, number) / "a").unlink()
        os.link(run(folder, 0) / "a", run(folder, number) / "a")
        os.utime(run(folder, number), ns=(0, 1000 + number))
    Cache(folder, 2 * SIZE).make_room(0)
    assert left(folder) == [0, 1, 2, 3]
    Cache(folder, SIZE).make_room(0)
    assert left(folder) == [3]


def test_a_run_that_is_not_here_is_not_used(folder: Path) -> None:
    cache = Cache(folder, None)
    assert not cache.use(folder / "rows" / f"ds={DAY}" / "run=2")
    assert cache.use(run(folder, 0))


def days_of(store: Store, days: int) -> list[Manifest]:
    return [make(store, f"{number:{SIZE}}", plus(DAY, number)) for number in range(days)]


def here(store: Store) -> int:
    return len(list(store.local.glob("rows/ds=*/run=*")))


def test_a_store_keeps_its_limit_while_days_are_made_and_read(tmp_path: Path) -> None:
    root = f"memory://{uuid.uuid4().hex}/store"
    made = days_of(Store(root, cache=tmp_path / "made"), 4)
    for manifest in made:
        reader = Store(root, cache=tmp_path / "read", cache_limit=2 * SIZE)
        assert (reader.folder(manifest) / "part/a.txt").stat().st_size == SIZE
        assert here(reader) <= 2
    for number in range(4):
        writer = Store(root, cache=tmp_path / "written", cache_limit=2 * SIZE)
        make(writer, f"{number:{SIZE}}", plus(DAY, number))
        assert here(writer) <= 2


def test_what_one_process_uses_at_once_may_take_more_than_the_limit(tmp_path: Path) -> None:
    root = f"memory://{uuid.uuid4().hex}/store"
    made = days_of(Store(root, cache=tmp_path / "made"), 3)
    reader = Store(root, cache=tmp_path / "read", cache_limit=SIZE)
    folders = [reader.folder(manifest) for manifest in made]
    assert all((folder / "part/a.txt").exists() for folder in folders)


def test_a_run_that_went_is_brought_again(tmp_path: Path) -> None:
    root = f"memory://{uuid.uuid4().hex}/store"
    first, second = days_of(Store(root, cache=tmp_path / "made"), 2)
    for manifest in (first, second, first):
        reader = Store(root, cache=tmp_path / "read", cache_limit=SIZE)
        assert (reader.run_folder("rows", manifest.day, manifest.run) / "part/a.txt").exists()
        assert here(reader) == 1
