"""A day is there whole or not at all, whatever happens while it is made."""

import datetime
import errno
import hashlib
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from pnn_gluon.errors import DamagedError, InputError
from pnn_gluon.store.manifest import Manifest, content_run, describe_files
from pnn_gluon.store.store import Store, link_file

DAY = datetime.date(2026, 11, 2)


def make(store: Store, text: str, day: datetime.date = DAY, **details: object) -> Manifest:
    with store.staging("rows", day) as folder:
        (folder / "part").mkdir()
        (folder / "part" / "a.txt").write_text(text)
        return store.commit(
            "rows",
            day,
            folder,
            rows=len(text),
            inputs={"raw/a": "1"},
            options={"a.b": 1},
            version=3,
            made_by={},
            details=details,
        )


@pytest.fixture(params=["folder", "file system", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return Store(str(tmp_path / "store"))
    if request.param == "file system":
        return Store(f"memory://{uuid.uuid4().hex}/store", cache=tmp_path / "cache")
    server = request.getfixturevalue("object_server")
    return Store(server.url(server.new_bucket()), cache=tmp_path / "cache")


def test_a_committed_day_is_read_back(store: Store, tmp_path: Path) -> None:
    made = make(store, "one", answer=[1, 2.5, None])
    found = store.manifest("rows", DAY)
    assert found == made
    assert (dict(found.inputs), found.options, found.version) == ({"raw/a": "1"}, {"a.b": 1}, 3)
    assert tmp_path in store.folder(found).parents, "files of an object store are read from the cache"
    assert (store.folder(found) / "part/a.txt").read_text() == "one"
    assert store.days("rows") == [DAY]
    assert not store.damages(found)


def test_a_day_never_made_is_none(store: Store) -> None:
    assert store.manifest("rows", DAY) is None
    assert store.days("rows") == []


def test_equal_content_is_the_same_run_and_other_content_another(store: Store) -> None:
    first, again, other = make(store, "one"), make(store, "one"), make(store, "two")
    assert first == again
    assert other.run != first.run
    assert store.manifest("rows", DAY) == other
    assert (store.run_folder("rows", DAY, first.run) / "part/a.txt").read_text() == "one"


def test_details_belong_to_the_content(store: Store) -> None:
    assert make(store, "one", threshold=1).run != make(store, "one", threshold=2).run


def test_another_machine_reads_the_object_store(tmp_path: Path) -> None:
    root = f"memory://{uuid.uuid4().hex}/store"
    made = make(Store(root, cache=tmp_path / "here"), "one")
    there = Store(root, cache=tmp_path / "there")
    assert (there.folder(made) / "part/a.txt").read_text() == "one"


def test_a_failure_while_making_leaves_yesterdays_word(store: Store) -> None:
    before = make(store, "one")
    with pytest.raises(ZeroDivisionError), store.staging("rows", DAY) as folder:
        (folder / "half").write_text(str(1 / 0))
    assert store.manifest("rows", DAY) == before
    assert make(store, "two").files[0].name == "part/a.txt"


KILLED = """
import datetime, os, signal, sys
from pnn_gluon.store.store import Store, link_file
store = Store(sys.argv[1])
with store.staging("rows", datetime.date(2026, 11, 2)) as folder:
    (folder / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_the_old_day_and_no_lock(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    before = make(store, "one")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert store.manifest("rows", DAY) == before
    assert [file.name for file in make(store, "two").files] == ["part/a.txt"]


def test_two_writers_of_a_day_are_told(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with (
        store.staging("rows", DAY),
        pytest.raises(InputError, match="another process is at work"),
        store.staging("rows", DAY),
    ):
        pass


def test_a_missing_run_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run of rows 2026-11-02 is missing"):
        Store(str(tmp_path)).run_folder("rows", DAY, "0" * 16)


def test_manifest_bytes_hold_no_time_and_no_place(tmp_path: Path) -> None:
    make(Store(str(tmp_path / "a")), "one")
    make(Store(str(tmp_path / "b")), "one")
    name = f"rows/ds={DAY}.json"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_run_is_named_by_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    one = content_run(describe_files(tmp_path), 1, {})
    (tmp_path / "a").rename(tmp_path / "b")
    assert content_run(describe_files(tmp_path), 1, {}) != one


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_put_into_another_folder_with_and_without_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refused(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "another file system")

    if not links:
        monkeypatch.setattr(os, "link", refused)
    (tmp_path / "a").write_text("one")
    link_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "one"
    assert (tmp_path / "b").samefile(tmp_path / "a") == links


def test_failures_are_remembered_until_the_day_is_made(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.record_failure("rows", DAY, "no disk")
    assert store.failure("rows", DAY) == "no disk"
    make(store, "one")
    assert store.failure("rows", DAY) is None


def test_scratch_of_other_inputs_is_dropped(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    (store.scratch("models", DAY, "one") / "checkpoint").write_text("1")
    assert (store.scratch("models", DAY, "one") / "checkpoint").exists()
    assert not list(store.scratch("models", DAY, "two").iterdir())
    assert not (store.scratch("models", DAY, "two").parent / "one").exists()


def test_what_killed_runs_left_goes_with_the_next_run_of_the_table(tmp_path: Path) -> None:
    store, other = Store(str(tmp_path)), datetime.date(2026, 11, 3)
    make(store, "one")
    with store.staging("rows", other) as living:
        (living / "a").write_text("at work")
        left = [
            tmp_path / ".local/staging/rows-2026-10-01/half",
            tmp_path / ".local/staging/models-2026-10-01/half",
            tmp_path / ".local/discarded/0123/half",
            tmp_path / "rows/.ds=2026-10-01.json.0a1b2c3d",
            tmp_path / ".local/failures/.rows-2026-10-01.txt.0a1b2c3d",
        ]
        for path in left:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("half")
        make(store, "two")
        assert not any(path.exists() for path in left)
        assert not any(path.parent.exists() for path in left[:3])
        assert (living / "a").read_text() == "at work"


def test_a_kill_while_scratch_is_dropped_leaves_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))
    (store.scratch("models", DAY, "one") / "checkpoint").write_text("1")
    monkeypatch.setattr("shutil.rmtree", lambda *paths, **options: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store.drop_scratch("models", DAY)
    assert not list(store.scratch("models", DAY, "one").iterdir())


def test_failures_can_be_read_by_their_owner_only(tmp_path: Path) -> None:
    Store(str(tmp_path)).record_failure("rows", DAY, "postgresql://user:secret@host")
    assert (tmp_path / f".local/failures/rows-{DAY}.txt").stat().st_mode & 0o777 == 0o600


def test_an_error_of_the_disk_names_the_day_that_was_made(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with pytest.raises(OSError, match=rf"staging/rows-{DAY}"), store.staging("rows", DAY):
        raise OSError(errno.ENOSPC, "Error writing bytes to file")


def test_one_small_file_of_a_run_is_read_without_the_others(store: Store, tmp_path: Path) -> None:
    made = make(store, "one")
    there = Store(store.root, cache=tmp_path / "there")
    assert there.content(made, "part/a.txt") == b"one"
    assert not (tmp_path / "there").exists(), "nothing of an object store is brought here"
    with pytest.raises(DamagedError, match=r"part/b\.txt: missing, or not the bytes that were written"):
        there.content(made, "part/b.txt")


def test_a_file_that_is_not_what_was_written_is_not_read(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    made = make(store, "one")
    (store.folder(made) / "part" / "a.txt").write_text("two")
    with pytest.raises(DamagedError, match="not the bytes that were written"):
        store.content(made, "part/a.txt")
    (store.local / store.relative("rows", DAY, made.run) / "part" / "a.txt").unlink()
    with pytest.raises(DamagedError, match="missing"):
        store.content(made, "part/a.txt")


def test_when_a_day_was_written_and_when_a_step_failed_is_told_to_the_millisecond(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    assert (store.written("rows", DAY), store.failed_at("rows", DAY)) == (None, None)
    make(store, "one")
    store.record_failure("rows", DAY, "no")
    moment = datetime.datetime(2026, 11, 3, 4, 5, 6, 789000, datetime.UTC)
    for path in (store.local / "rows" / f"ds={DAY}.json", store.local / ".local" / "failures" / f"rows-{DAY}.txt"):
        os.utime(path, ns=(0, int(moment.timestamp() * 1000) * 10**6 + 123))
    assert (store.written("rows", DAY), store.failed_at("rows", DAY)) == (moment, moment)


def test_when_an_object_was_written_is_told_where_its_store_knows(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/store", cache=tmp_path / "cache")
    assert store.written("rows", DAY) is None
    make(store, "one")
    moment = datetime.datetime(2026, 11, 3, 4, 5, 6, 789000, datetime.UTC)
    os.utime(tmp_path / "store" / "rows" / f"ds={DAY}.json", ns=(0, int(moment.timestamp() * 1000) * 10**6 + 123))
    assert store.written("rows", DAY) == moment
    silent = Store(f"memory://{uuid.uuid4().hex}/store", cache=tmp_path / "other")
    make(silent, "one")
    assert silent.written("rows", DAY) is None


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read to be hashed."""
    names: list[str] = []
    digest = hashlib.file_digest

    def noted(file: Any, kind: str) -> Any:
        names.append(Path(file.name).name)
        return digest(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", noted)
    return names


def linked(store: Store, made: Manifest) -> Manifest | None:
    """The next day with a file of a day; None if that is seen not to be as written."""
    with store.staging("rows", DAY + datetime.timedelta(1)) as folder:
        if not store.link(made, "part/a.txt", folder / "a.txt"):
            return None
        table, day = "rows", DAY + datetime.timedelta(1)
        how: Any = {"rows": 1, "inputs": {}, "options": {}, "version": 1, "made_by": {}, "details": {}}
        return store.commit(table, day, folder, **how)


def test_a_file_older_than_its_manifest_is_recorded_as_that_tells_without_being_read(
    tmp_path: Path, hashed: list[str]
) -> None:
    store = Store(str(tmp_path))
    made = make(store, "one")
    hashed.clear()
    found = linked(store, made)
    assert found is not None
    assert hashed == []
    assert found.files[0].sha256 == made.files[0].sha256
    assert (store.folder(found) / "a.txt").samefile(store.folder(made) / "part/a.txt")


def test_where_files_cannot_be_linked_a_copy_is_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed: list[str]
) -> None:
    def refused(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "another file system")

    store = Store(str(tmp_path))
    made = make(store, "one")
    hashed.clear()
    monkeypatch.setattr(os, "link", refused)
    found = linked(store, made)
    assert found is not None
    assert hashed == ["a.txt"]
    assert found.files[0].sha256 == made.files[0].sha256


@pytest.mark.parametrize("text", ["onE", "longer"])
def test_a_file_that_changed_after_its_manifest_is_not_linked(tmp_path: Path, text: str) -> None:
    store = Store(str(tmp_path))
    made = make(store, "one")
    (store.folder(made) / "part/a.txt").write_text(text)
    assert linked(store, made) is None
    assert linked(store, make(store, "two")) is not None


def test_a_file_touched_after_its_manifest_is_compared_and_linked(tmp_path: Path, hashed: list[str]) -> None:
    store = Store(str(tmp_path))
    made = make(store, "one")
    (store.folder(made) / "part/a.txt").touch()
    hashed.clear()
    assert linked(store, made) is not None
    assert "a.txt" in hashed


def test_damage_that_kept_size_and_time_is_found_by_whoever_reads_the_link(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    made = make(store, "one")
    path = store.folder(made) / "part/a.txt"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_text("onE")
    os.utime(path, ns=times)
    found = linked(store, made)
    assert found is not None
    with pytest.raises(DamagedError, match=r"a\.txt: not the bytes"):
        store.folder(found)


def test_a_file_of_an_object_store_is_brought_and_compared(store: Store) -> None:
    made = make(store, "one")
    found = linked(store, made)
    assert found is not None
    assert (store.folder(found) / "a.txt").read_text() == "one"
    assert store.whole_file(made, "b.txt") is None
    path = store.whole_file(made, "part/a.txt")
    assert path is not None
    path.write_text("onE")
    assert store.whole_file(made, "part/a.txt") is None
    assert linked(store, made) is None


def test_a_run_that_the_cache_does_not_have_is_brought_for_one_of_its_files(tmp_path: Path) -> None:
    root = f"memory://{uuid.uuid4().hex}/store"
    made = make(Store(root, cache=tmp_path / "one"), "one")
    assert linked(Store(root, cache=tmp_path / "two"), made) is not None
