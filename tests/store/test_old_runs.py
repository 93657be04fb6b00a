"""Only runs that nothing names go, and only once no step that began before can read them."""

import datetime
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest

from pnn_gluon.errors import DamagedError
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.old_runs import OldRun, old_runs
from pnn_gluon.store.store import Store, link_file

DAY = datetime.date(2026, 11, 2)
NEXT = datetime.date(2026, 11, 3)
LATER = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)


def make(
    store: Store,
    table: str,
    text: str,
    day: datetime.date = DAY,
    inputs: Mapping[str, str | None] = {},
    linked: Path | None = None,
    details: Mapping[str, object] = {},
) -> Manifest:
    with store.staging(table, day) as folder:
        (folder / "a.txt").write_text(text)
        if linked:
            link_file(linked, folder / linked.name)
        return store.commit(
            table, day, folder, rows=1, inputs=inputs, options={}, version=1, made_by={}, details=details
        )


@pytest.fixture(params=["folder", "object store"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return Store(str(tmp_path / "store"))
    return Store(f"file://{tmp_path}/store", cache=tmp_path / "cache")


def names(runs: list[OldRun]) -> list[tuple[str, str]]:
    return [(each.run.table, each.run.name) for each in runs]


def test_a_run_that_was_replaced_goes_and_the_one_in_force_stays(store: Store) -> None:
    old, new = make(store, "rows", "old"), make(store, "rows", "newer")
    found = old_runs(store, LATER)
    assert names(found) == [("rows", old.run)]
    assert found[0].size == len("old")
    assert [store.remove_run(each.run) for each in found] == [True]
    assert old_runs(store, LATER) == []
    assert store.damages(new) == []
    assert [run.name for run in store.runs("rows")] == [new.run]


def test_it_stays_until_no_step_that_began_before_can_read_it(store: Store) -> None:
    make(store, "rows", "old")
    make(store, "rows", "new")
    hour_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    assert old_runs(store, hour_ago) == []


def test_what_a_manifest_read_or_points_to_stays(store: Store) -> None:
    read, pointed, forgotten = (make(store, "bundles", text) for text in ("read", "pointed", "forgotten"))
    make(store, "bundles", "in force")
    make(store, "scores", "s", NEXT, inputs={f"bundles/{DAY}": read.run, "raw/logs/a.tsv": "1", "skips/x": None})
    make(store, "champions", "c", NEXT, details={"table": "bundles", "day": str(DAY), "run": pointed.run})
    assert names(old_runs(store, LATER)) == [("bundles", forgotten.run)]


def test_a_run_without_a_manifest_goes_by_its_own_age(store: Store) -> None:
    made = make(store, "rows", "killed before its manifest")
    if store.remote:
        store.remote.objects.remove([f"rows/ds={DAY}.json"])
    else:
        (store.local / "rows" / f"ds={DAY}.json").unlink()
    assert names(old_runs(store, LATER)) == [("rows", made.run)]
    assert old_runs(store, datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)) == []


def test_a_file_is_freed_with_the_last_run_that_has_it(tmp_path: Path) -> None:
    store, shared = Store(str(tmp_path / "store")), tmp_path / "b.txt"
    shared.write_text("z" * 1000)
    make(store, "shards", "1", linked=shared)
    make(store, "shards", "22", linked=shared)
    shared.unlink()
    assert [each.size for each in old_runs(store, LATER)] == [1]
    make(store, "shards", "333")
    assert sum(each.size for each in old_runs(store, LATER)) == 1003


def test_a_damaged_manifest_lets_nothing_go(store: Store) -> None:
    make(store, "rows", "old")
    make(store, "rows", "new")
    if store.remote:
        store.remote.write(f"rows/ds={DAY}.json", b"{}")
    else:
        (store.local / "rows" / f"ds={DAY}.json").write_text("{}")
    with pytest.raises(DamagedError):
        old_runs(store, LATER)


def test_a_run_that_is_in_force_again_or_whose_day_is_being_made_is_not_removed(store: Store) -> None:
    make(store, "rows", "old")
    make(store, "rows", "new")
    (old,) = old_runs(store, LATER)
    with store.staging("rows", DAY):
        assert not store.remove_run(old.run)
    again = make(store, "rows", "old")
    assert not store.remove_run(old.run)
    assert store.damages(again) == []


def test_a_store_that_tells_no_times_keeps_everything(tmp_path: Path) -> None:
    store = Store(f"memory://{uuid.uuid4().hex}/store", cache=tmp_path / "cache")
    make(store, "rows", "old")
    make(store, "rows", "new")
    assert old_runs(store, LATER) == []
