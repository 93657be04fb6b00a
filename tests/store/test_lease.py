"""Of the machines of an object store one removes old runs at a time, and one that died stops none for ever."""

import datetime
from pathlib import Path

import pytest

from pnn_gluon.errors import InputError
from pnn_gluon.store import lease as module
from pnn_gluon.store.store import Store
from tests.object_server import ObjectServer
from tests.store.test_remote import remote_of, store

__all__ = ["store"]


def elsewhere(store: Store, tmp_path: Path) -> Store:
    return Store(store.root, cache=tmp_path / "elsewhere")


def test_another_machine_is_told_who_is_at_work(store: Store, tmp_path: Path) -> None:
    other = elsewhere(store, tmp_path)
    said = r"gc\.lock: .*, process \d+ .* is at work( since .*)?; wait .* remove this object"
    with store.collecting(), pytest.raises(InputError, match=said):
        other.collecting().__enter__()
    with other.collecting():
        pass
    assert remote_of(store).version("gc.lock") is None


def test_of_two_at_the_same_moment_one_goes_on(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = elsewhere(store, tmp_path)
    with store.collecting():
        monkeypatch.setattr(remote_of(other), "version", lambda name: None)  # as it looked before the first put its own
        with pytest.raises(InputError, match="another machine is at work by now"):
            other.collecting().__enter__()


def test_one_that_died_is_taken_over_after_hours(
    object_server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Store(object_server.url(object_server.new_bucket()), cache=tmp_path / "cache")
    remote_of(bucket).replace("gc.lock", b"the dead", None)
    with pytest.raises(InputError, match="the dead is at work since"):
        bucket.collecting().__enter__()
    monkeypatch.setattr(module, "LONGEST", datetime.timedelta())
    with bucket.collecting():
        assert remote_of(bucket).read("gc.lock") != b"the dead"
    assert remote_of(bucket).version("gc.lock") is None


def test_one_that_lost_it_removes_nothing(store: Store) -> None:
    with store.collecting():
        remote_of(store).write("gc.lock", b"another")
    assert remote_of(store).read("gc.lock") == b"another"


def test_in_a_folder_one_process_is_at_it(tmp_path: Path) -> None:
    folder = Store(str(tmp_path / "store"))
    with folder.collecting(), pytest.raises(InputError, match="another process is at work"):
        Store(folder.root).collecting().__enter__()
