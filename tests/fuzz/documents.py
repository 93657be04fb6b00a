"""Manifests of a store: values of another type, size or path, and what everything that reads them makes of it."""

import contextlib
import datetime
import functools
import io
import json
import os
import random
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs.commands.status import print_status
from jobs.commands.verify import verify
from jobs.day_overview import overview
from jobs.day_reports import day_reports
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import PnnError
from pnn_gluon.pipeline.bundles import bundle_folder
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import open_partition
from pnn_gluon.pipeline.states import day_states
from pnn_gluon.pipeline.steps import STEPS
from pnn_gluon.pipeline.tables import CHAMPIONS
from pnn_gluon.store.manifest import CHECKSUM, StoredFile, _checksum, content_run
from pnn_gluon.store.old_runs import old_runs
from pnn_gluon.store.store import Store
from tests.fuzz.target import Case, Edit, changed, drawn_edit, drawn_put, edited, refusal

STORE = Path(__file__).parents[1] / "pipeline/store_of_0_1.tar.xz"
DAYS = [datetime.date(2026, 11, day) for day in (1, 2, 3)]
REPAIRS = ("nothing", "checksum", "checksum", "run", "run")
"""What fits the changed content: nothing, as after damage; the checksum, where there is one; or its run, too."""


class Documents:
    """See `Target`: parts are changes of one manifest, of bytes or of values."""

    def draw(self, drawn: random.Random) -> Case:
        """Changes of a manifest."""
        options = {
            "name": drawn.choice(_manifests()),
            "repaired": drawn.choice(REPAIRS),
            "reader": drawn.choice(list(READERS)),
        }
        if drawn.random() < 0.2:
            return Case(tuple(drawn_edit(drawn, 2000) for _ in range(drawn.choice([1, 3]))), options)
        return Case(tuple(drawn_put(drawn) for _ in range(drawn.choice([1, 1, 1, 3]))), options)

    def check(self, case: Case, folder: Path) -> None:
        """Whatever reads the store does, or says what is wrong; nothing is written beside it."""
        root = folder / "within"
        shutil.copytree(_original(), root, copy_function=os.link)
        config = load_config(root / "pipeline.toml")
        _change(Path(config.store_root), case)
        before = sorted(folder.iterdir())
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(PnnError):
            READERS[case.options["reader"]](config)
        assert sorted(folder.iterdir()) == before
        _told(config, case)


@functools.cache
def _original() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-store-"))
    with tarfile.open(STORE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@functools.cache
def _manifests() -> list[str]:
    root = _original() / "store"
    return sorted(path.relative_to(root).as_posix() for path in root.glob("*/ds=*.json"))


def _change(root: Path, case: Case) -> None:
    path = root / case.options["name"]
    whole = path.read_bytes()
    path.unlink()  # the original has the same bytes under another name
    edits = [part for part in case.parts if isinstance(part, Edit)]
    if edits:
        path.write_bytes(edited(whole, edits))
        return
    document = json.loads(whole)
    run = document["run"]
    for put in case.parts:
        document = changed(document, put)
    with contextlib.suppress(Exception):  # a document of another shape has nothing that could be made to fit
        if case.options["repaired"] == "run":
            files = [StoredFile(**file) for file in document["files"]]
            document["run"] = content_run(files, document["rows"], document["details"])
            folder = path.with_suffix("")
            if (folder / f"run={run}").is_dir():
                (folder / f"run={run}").rename(folder / f"run={document['run']}")
        if case.options["repaired"] != "nothing":
            document.pop(CHECKSUM, None)
            document[CHECKSUM] = _checksum(document)
    path.write_text(json.dumps(document))


def _told(config: Config, case: Case) -> None:
    """A manifest that cannot be read is named."""
    table, _, day = case.options["name"].removesuffix(".json").partition("/ds=")
    error = refusal(lambda: open_store(config).manifest(table, datetime.date.fromisoformat(day)))
    assert error is None or case.options["name"] in error


def _details(config: Config) -> None:
    store = open_store(config)
    for step in STEPS:
        for day in DAYS:
            with contextlib.suppress(PnnError):
                _read(store, step.table, day)


def _read(store: Store, table: Any, day: datetime.date) -> None:
    partition = open_partition(store, table, day)
    if partition is not None:
        details = partition.details
        if table.name == CHAMPIONS.name:
            bundle_folder(store, details.pointer)


READERS: dict[str, Callable[[Config], object]] = {
    "details": _details,
    "states": lambda config: day_states(config, DAYS),
    "status": lambda config: print_status(config, DAYS),
    "overview": lambda config: overview(config, DAYS, DAYS[-1]),
    "reports": lambda config: day_reports(config, DAYS),
    "verify": lambda config: list(verify(open_store(config), None)),
    "gc": lambda config: old_runs(open_store(config), datetime.datetime.now(datetime.UTC)),
}
