"""In an object store a good object is never replaced by a part of one, and a bad one is never left where it is."""

import io
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pnn_gluon.errors import DamagedError
from pnn_gluon.store import remote as remote_module
from pnn_gluon.store.manifest import Manifest, StoredFile, describe_files
from pnn_gluon.store.objects import ChangedSince, Version
from pnn_gluon.store.remote import Remote
from pnn_gluon.store.store import Store
from tests.store.test_store import DAY, make


@pytest.fixture(params=["file system", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file system":
        return Store(f"memory://{uuid.uuid4().hex}/store", cache=tmp_path / "cache")
    server = request.getfixturevalue("object_server")
    return Store(server.url(server.new_bucket()), cache=tmp_path / "cache")


def remote_of(store: Store) -> Remote:
    assert store.remote is not None
    return store.remote


def break_off(monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    """Every file ends with an error after one byte."""

    def blocks(source: io.BufferedReader, file: StoredFile) -> Iterator[bytes]:
        yield source.read(1)
        raise error

    monkeypatch.setattr(remote_module, "_as_described", blocks)


@pytest.mark.parametrize("error", [ConnectionError, KeyboardInterrupt])
def test_an_upload_that_breaks_off_leaves_the_good_object(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    made = make(store, "one")
    name = f"{Store.relative('rows', DAY, made.run)}/part/a.txt"
    break_off(monkeypatch, error)
    make(store, "one")
    with pytest.raises(error):
        remote_of(store).upload(store.folder(made), Store.relative("rows", DAY, made.run), made.files, afresh=True)
    with pytest.raises(error):
        make(store, "two")
    assert remote_of(store).read(name) == b"one"
    assert store.manifest("rows", DAY) == made
    monkeypatch.undo()
    other = make(store, "two")
    there = Store(store.root, cache=tmp_path / "there")
    assert (there.folder(other) / "part/a.txt").read_text() == "two"


def test_a_file_that_changes_while_it_goes_up_is_not_put(store: Store, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a").write_text("one")
    files = describe_files(tmp_path / "run")
    (tmp_path / "run" / "a").write_text("two")
    with pytest.raises(OSError, match="a: changed while it was uploaded"):
        remote_of(store).upload(tmp_path / "run", "rows/run=1", files)
    assert remote_of(store).sha256("rows/run=1/a") is None


def test_a_manifest_that_breaks_off_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}/store", cache=tmp_path / "cache")
    made = make(store, "one")

    class Broken:
        def __getattr__(self, name: str) -> object:
            return getattr(whole, name)

        def open_output_stream(self, path: str, compression: None) -> object:
            stream = whole.open_output_stream(path, compression=compression)
            return stream if ".txt." in path else _Torn(stream)

    objects = remote_of(store).objects
    whole = objects.filesystem  # type: ignore[attr-defined]
    monkeypatch.setattr(objects, "filesystem", Broken())
    with pytest.raises(KeyboardInterrupt):
        make(store, "two")
    assert store.manifest("rows", DAY) == made
    assert remote_of(store).names("rows") == [f"ds={DAY}.json"]


def test_the_manifest_goes_up_after_every_file_it_names(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[bytes] = []
    replace = Remote.replace

    def replaced(remote: Remote, name: str, content: bytes, version: Version | None) -> None:
        run = Store.relative("rows", DAY, Manifest.from_json(content).run)
        there.append(remote.read(f"{run}/part/a.txt"))
        replace(remote, name, content, version)

    monkeypatch.setattr(Remote, "replace", replaced)
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


def test_an_object_takes_the_place_of_the_version_that_it_was_made_for_and_of_no_other(store: Store) -> None:
    remote = remote_of(store)
    assert remote.version("rows/a.json") is None
    remote.replace("rows/a.json", b"1", None)
    first = remote.version("rows/a.json")
    with pytest.raises(ChangedSince):
        remote.replace("rows/a.json", b"2", None)
    remote.replace("rows/a.json", b"2", first)
    with pytest.raises(ChangedSince):
        remote.replace("rows/a.json", b"3", first)
    assert remote.read("rows/a.json") == b"2"


def test_tables_are_listed(store: Store) -> None:
    assert store.tables() == []
    make(store, "one")
    assert store.tables() == ["rows"]


def test_what_is_not_there_is_no_error(store: Store) -> None:
    remote = remote_of(store)
    assert (remote.names("rows"), remote.folders(), remote.runs("rows")) == ([], [], [])
    assert (remote.recorded("rows/run=0"), remote.sha256("rows/a"), remote.written("rows/a")) == ({}, None, None)
    remote.objects.remove(["rows/a"])
    with pytest.raises(FileNotFoundError):
        remote.read("rows/a")


def test_folders_are_made_as_deep_as_they_must_be(tmp_path: Path) -> None:
    remote = Remote(f"file://{tmp_path}/root/of/all")
    remote.write("rows/deep/a.json", b"1")
    (tmp_path / "part").mkdir()
    (tmp_path / "part/b").write_text("2")
    remote.upload(tmp_path / "part", "other/run=1/part", describe_files(tmp_path / "part"))
    assert (remote.read("rows/deep/a.json"), remote.read("other/run=1/part/b")) == (b"1", b"2")
    assert remote.folders() == ["other", "rows"]


def test_a_removed_run_leaves_nothing(store: Store) -> None:
    made, other = make(store, "one"), make(store, "two")
    remote_of(store).remove(Store.relative("rows", DAY, made.run))
    assert [run.name for run in store.runs("rows")] == [other.run]
    assert store.tables() == ["rows"]
