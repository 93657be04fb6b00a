"""Nothing that was damaged after it was written is read: not a file of a run, not a manifest."""

import datetime
import json
import random
import uuid
from functools import partial
from pathlib import Path

import pytest

from pnn_gluon.errors import DamagedError, InputError
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.pipeline.steps import mending_command
from pnn_gluon.store.manifest import CHECKSUM, Manifest
from pnn_gluon.store.store import Store
from tests.store.test_store import DAY, make

NAME = f"rows/ds={DAY}.json"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), mend=partial(mending_command, config=Path("conf/p.toml")))


def manifest_file(store: Store) -> Path:
    return store.local / NAME


@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "remove", "stray"])
def test_a_damaged_file_is_never_handed_out(store: Store, damage: str) -> None:
    made = make(store, "one")
    path = store.folder(made) / "part/a.txt"
    if damage == "remove":
        path.unlink()
    elif damage == "stray":
        path.with_name("b.txt").write_text("b")
    else:
        path.write_text({"flip": "oNe", "cut": "on", "grow": "one1"}[damage])
    with pytest.raises(DamagedError, match=r"pnn-gluon step ingest --config conf/p\.toml --day 2026-11-02 --force"):
        store.folder(made)
    with pytest.raises(DamagedError, match=r"[ab]\.txt"):
        store.run_folder("rows", DAY, made.run)
    assert store.intact("rows", DAY) is None


def test_making_a_damaged_day_again_mends_it(store: Store) -> None:
    made = make(store, "one")
    (store.folder(made) / "part/a.txt").write_text("xxx")
    assert store.damages(made)
    assert make(store, "one") == made
    assert (store.folder(made) / "part/a.txt").read_text() == "one"
    assert store.intact("rows", DAY) == made


def test_every_flipped_bit_of_a_manifest_is_seen(store: Store) -> None:
    make(store, "one", answer=[1, 2.5, None], words={"a": "b"})
    whole = manifest_file(store).read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random.Random(place).randrange(8)
        manifest_file(store).write_bytes(damaged)
        if damaged.split() != whole.split():  # white space may become other white space
            with pytest.raises(DamagedError, match=NAME):
                store.manifest("rows", DAY)


def test_a_changed_number_in_an_earlier_releases_manifest_is_seen(store: Store) -> None:
    make(store, "one", rate=0.5)
    fields = json.loads(manifest_file(store).read_text())
    del fields[CHECKSUM]
    manifest_file(store).write_text(json.dumps(fields))
    assert store.manifest("rows", DAY) is not None
    for changed in ({"rows": 4}, {"details": {"rate": 0.6}}, {"run": "0" * 16}):
        manifest_file(store).write_text(json.dumps({**fields, **changed}))
        with pytest.raises(DamagedError, match="files, rows and details are of run"):
            store.manifest("rows", DAY)


def test_a_manifest_of_another_day_is_not_taken(store: Store) -> None:
    make(store, "one")
    other = DAY + datetime.timedelta(1)
    (store.local / f"rows/ds={other}.json").write_bytes(manifest_file(store).read_bytes())
    with pytest.raises(DamagedError, match=f"the manifest of rows {DAY}"):
        store.manifest("rows", other)


@pytest.mark.parametrize("content", [b'{"table": "rows"}', b"[]", b"", b"\xff", b'"x"', b'{"files": 5, "day": 3}'])
def test_a_broken_manifest_is_an_error_that_names_it(store: Store, content: bytes) -> None:
    make(store, "one")
    manifest_file(store).write_bytes(content)
    with pytest.raises(DamagedError, match=r"ds=2026-11-02\.json: not a partition manifest .* step ingest"):
        store.manifest("rows", DAY)


def test_a_damaged_cache_is_loaded_again(tmp_path: Path) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}/store", cache=tmp_path / "cache")
    made = make(store, "one")
    (store.folder(made) / "part/a.txt").write_text("xxx")
    assert (store.folder(made) / "part/a.txt").read_text() == "one"


def test_a_damaged_object_is_not_taken_from_an_object_store(tmp_path: Path) -> None:
    root = f"memory://{uuid.uuid4().hex}/store"
    store = Store(root, cache=tmp_path / "here")
    made = make(store, "one")
    assert store.remote is not None
    store.remote.write(f"{Store.relative('rows', DAY, made.run)}/part/a.txt", b"xxx")
    with pytest.raises(DamagedError, match=r"a\.txt: not the bytes that were written"):
        Store(root, cache=tmp_path / "there").folder(made)


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    digests = set()
    for text in ("one", "two", "six"):
        (tmp_path / "a").write_text(text)
        digests |= {sha256_of(tmp_path / "a"), sha256_of(tmp_path / "a")}
    assert len(digests) == 3


def test_manifests_are_the_same_bytes_when_read_and_written(store: Store) -> None:
    make(store, "one", answer=[1, 2.5, None, 1e-300])
    content = manifest_file(store).read_bytes()
    assert Manifest.from_json(content).to_json() == content


def test_a_manifest_of_a_newer_release_is_told_as_such(store: Store) -> None:
    make(store, "one")
    fields = json.loads(manifest_file(store).read_text())
    del fields[CHECKSUM]
    manifest_file(store).write_text(json.dumps({**fields, "format": 3}))
    with pytest.raises(DamagedError, match="of format 3, written by a newer release"):
        store.manifest("rows", DAY)


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "part/../../x", ""])
def test_no_file_of_a_manifest_lies_outside_of_its_run(store: Store, name: str) -> None:
    made = make(store, "one")
    fields = json.loads(made.to_json())
    del fields[CHECKSUM]
    fields["files"][0]["name"] = name
    manifest_file(store).write_text(json.dumps(fields))
    with pytest.raises(DamagedError, match=r"ds=2026-11-02\.json: not a partition manifest \(a file of the name"):
        store.manifest("rows", DAY)


def test_an_object_with_a_path_out_of_its_run_is_not_brought_into_the_cache(tmp_path: Path) -> None:
    root = f"memory://{uuid.uuid4().hex}/store"
    store = Store(root, cache=tmp_path / "cache")
    made = make(store, "one")
    assert store.remote is not None
    with pytest.raises(DamagedError, match=r"a file of the name '\.\./\.\./\.\./x' is in no folder of a run"):
        store.remote.download(Store.relative("rows", DAY, made.run), {"../../../x": None}, tmp_path / "cache/run")
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize(("table", "run"), [("../rows", "0" * 16), ("rows", "../../x"), ("rows", "")])
def test_a_pointer_out_of_the_store_names_no_run(store: Store, table: str, run: str) -> None:
    with pytest.raises(InputError, match="what names it is damaged"):
        store.run_folder(table, DAY, run)


@pytest.mark.parametrize(
    ("field", "value"), [("inputs", "x"), ("details", 5), ("inputs", {"rows/1": 5}), ("made_by", []), ("options", "x")]
)
def test_a_manifest_with_a_value_of_another_type_is_refused(store: Store, field: str, value: object) -> None:
    fields = json.loads(make(store, "one").to_json())
    del fields[CHECKSUM]
    manifest_file(store).write_text(json.dumps({**fields, field: value}))
    with pytest.raises(DamagedError, match=r"ds=2026-11-02\.json: "):
        store.manifest("rows", DAY)


def test_a_file_whose_size_is_no_number_is_refused(store: Store) -> None:
    fields = json.loads(make(store, "one").to_json())
    del fields[CHECKSUM]
    fields["files"][0]["size"] = "3"
    manifest_file(store).write_text(json.dumps(fields))
    with pytest.raises(DamagedError, match=r"the size of part/a\.txt: expected int, received '3'"):
        store.manifest("rows", DAY)


def test_a_manifest_nested_without_end_is_refused(store: Store) -> None:
    make(store, "one")
    manifest_file(store).write_text("[" * 100_000)
    with pytest.raises(DamagedError, match=r"ds=2026-11-02\.json: not a partition manifest"):
        store.manifest("rows", DAY)
