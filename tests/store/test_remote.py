"""In an object store a good object is never replaced by a part of one, and a bad one is never left where it is."""

import shutil
import uuid
from pathlib import Path

import pytest

from pnn_gluon.errors import DamagedError
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.remote import Remote
from pnn_gluon.store.store import Store
from tests.store.test_store import DAY, make


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"memory://{uuid.uuid4().hex}/store", cache=tmp_path / "cache")


def remote_of(store: Store) -> Remote:
    assert store.remote is not None
    return store.remote


def break_off(monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    """Every copy ends after one byte."""

    def copy(source, sink, length):  # type: ignore[no-untyped-def]
        sink.write(source.read(1))
        raise error

    monkeypatch.setattr(shutil, "copyfileobj", copy)


@pytest.mark.parametrize("error", [ConnectionError, KeyboardInterrupt])
def test_an_upload_that_breaks_off_leaves_the_good_object(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    made = make(store, "one")
    name = f"{Store.relative('rows', DAY, made.run)}/part/a.txt"
    break_off(monkeypatch, error)
    make(store, "one")
    with pytest.raises(error):
        make(store, "two")
    assert remote_of(store).read(name) == b"one"
    assert store.manifest("rows", DAY) == made
    monkeypatch.undo()
    other = make(store, "two")
    there = Store(store.root, cache=tmp_path / "there")
    assert (there.folder(other) / "part/a.txt").read_text() == "two"


def test_a_manifest_that_breaks_off_leaves_the_old_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(store, "one")

    class Broken:
        def __getattr__(self, name: str) -> object:
            return getattr(whole, name)

        def open_output_stream(self, path: str) -> object:
            stream = whole.open_output_stream(path)
            return stream if path.endswith(".txt") else _Torn(stream)

    whole = remote_of(store).filesystem
    remote_of(store).filesystem = Broken()
    with pytest.raises(KeyboardInterrupt):
        make(store, "two")
    assert store.manifest("rows", DAY) == made
    assert remote_of(store).names("rows") == [f"ds={DAY}.json"]


def test_the_manifest_goes_up_after_every_file_it_names(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[bytes] = []
    write = Remote.write

    def written(remote: Remote, name: str, content: bytes) -> None:
        run = Store.relative("rows", DAY, Manifest.from_json(content).run)
        there.append(remote.read(f"{run}/part/a.txt"))
        write(remote, name, content)

    monkeypatch.setattr(Remote, "write", written)
    make(store, "one")
    assert there == [b"one"]


class _Torn:
    """A stream that is closed after a part, as a `with` does when it is interrupted."""

    def __init__(self, stream) -> None:  # type: ignore[no-untyped-def]
        self.stream = stream

    def __enter__(self) -> "_Torn":
        return self

    def __exit__(self, *error: object) -> None:
        self.stream.close()

    def write(self, content: bytes) -> None:
        self.stream.write(content[:10])
        raise KeyboardInterrupt


def test_a_short_or_changed_object_is_put_again(store: Store, tmp_path: Path) -> None:
    made = make(store, "one")
    for content in (b"o", b"xxx"):
        remote_of(store).write(f"{Store.relative('rows', DAY, made.run)}/part/a.txt", content)
        with pytest.raises(DamagedError, match=r"part/a\.txt: missing, or not the bytes"):
            store.verify(made)
        make(store, "one")
        store.verify(made)
    assert (Store(store.root, cache=tmp_path / "there").folder(made) / "part/a.txt").read_text() == "one"


def test_tables_are_listed(store: Store) -> None:
    assert store.tables() == []
    make(store, "one")
    assert store.tables() == ["rows"]


def test_what_is_not_there_is_no_error(store: Store, tmp_path: Path) -> None:
    remote = remote_of(store)
    assert not remote.download(Store.relative("rows", DAY, "0" * 16), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert (remote.names("rows"), remote.folders(), remote.sha256("rows/a")) == ([], [], None)


def test_folders_are_made_as_deep_as_they_must_be(tmp_path: Path) -> None:
    remote = Remote(f"file://{tmp_path}/root/of/all")
    remote.write("rows/deep/a.json", b"1")
    (tmp_path / "part").mkdir()
    (tmp_path / "part/b").write_text("2")
    remote.upload(tmp_path / "part", "other/run=1/part")
    assert (remote.read("rows/deep/a.json"), remote.read("other/run=1/part/b")) == (b"1", b"2")
    assert remote.folders() == ["other", "rows"]
