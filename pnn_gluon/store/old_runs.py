"""Runs that nothing names any more: what days were before they were made again, and what kills left without a manifest.

A run stays as long as a manifest in force is of it, read it, or points to it, as a champion does. One that was replaced
may still be read by a step that began before: so it stays for some hours longer, whatever machine that step is on.
"""

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.runs import Run
from pnn_gluon.store.store import Store


@dataclass(frozen=True)
class OldRun:
    """A run that may go, and the bytes that only it and others that may go hold."""

    run: Run
    size: int


def old_runs(store: Store, before: datetime.datetime) -> list[OldRun]:
    """The runs that nothing names and nothing has named since a moment (UTC).

    Raises:
        DamagedError: a manifest cannot be read, so that what it names is not known.
    """
    manifests = list(_manifests(store))
    named = {run for manifest in manifests for run in runs_named(manifest)}
    made = {(manifest.table, manifest.day) for manifest in manifests}
    found = []
    for run in (run for table in store.tables_with_runs() for run in store.runs(table)):
        if (run.table, run.day, run.name) in named:
            continue
        replaced = store.written(run.table, run.day) if (run.table, run.day) in made else run.written
        if replaced is not None and max(replaced, run.written or replaced) < before:
            found.append(run)
    return _with_sizes(found)


def _manifests(store: Store) -> Iterator[Manifest]:
    for table in store.tables():
        for day in store.days(table):
            if (manifest := store.manifest(table, day)) is not None:
                yield manifest


def runs_named(manifest: Manifest) -> Iterator[tuple[str, datetime.date, str]]:
    """Table, day and run of itself, of what it was made from, and of what it points to."""
    yield manifest.table, manifest.day, manifest.run
    for name, run in manifest.inputs.items():
        table, _, day = name.rpartition("/")
        if run is not None and (when := _day(day)) is not None:
            yield table, when, run
    yield from _pointed(manifest.details)


def _pointed(details: Mapping[str, Any]) -> Iterator[tuple[str, datetime.date, str]]:
    """What details point to, wherever in them: table, day and run side by side."""
    table, day, run = (details.get(key) for key in ("table", "day", "run"))
    if table and run and (when := _day(str(day))) is not None:
        yield str(table), when, str(run)
    for value in details.values():
        if isinstance(value, Mapping):
            yield from _pointed(value)


def _day(text: str) -> datetime.date | None:
    try:
        return parse_day(text)
    except ConfigError:
        return None


def _with_sizes(runs: Iterable[Run]) -> list[OldRun]:
    """A file with several names is freed with the last of them, and counts for the run that has it first."""
    runs = list(runs)
    names = Counter(file.identity for run in runs for file in run.files)
    counted: set[object] = set()
    found = []
    for run in runs:
        size = 0
        for file in run.files:
            if names[file.identity] == file.names and file.identity not in counted:
                counted.add(file.identity)
                size += file.size
        found.append(OldRun(run, size))
    return found
