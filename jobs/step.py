"""A step of the day: what it reads, what it makes, and how it runs once or not at all."""

import dataclasses
import datetime
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jobs.reading import Reading, kept_reason
from pnn_gluon import __version__
from pnn_gluon.config import Config
from pnn_gluon.disk_errors import explained
from pnn_gluon.errors import DamagedError, InputError
from pnn_gluon.secrets_masking import masked
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import Store

Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Built:
    """What a step put into its staging folder: rows, details for readers, and what it was made with."""

    rows: int
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    made_by: Mapping[str, str] = dataclasses.field(default_factory=dict)


def kept(reason: str, **details: Any) -> Built:
    """A day on which a step could make nothing: what stood before it stays in force.

    Args:
        reason: Why, for a reader.
        details: What readers of the table expect there all the same.
    """
    return Built(0, {**details, "kept": reason})


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The one JSON object a step's command ends with. Paths are relative to the store's root."""

    step: str
    day: str
    status: str
    rows: int
    run: str
    path: str
    seconds: float
    details: Mapping[str, Any]
    exit_status: int = 0


@dataclasses.dataclass(frozen=True)
class Step:
    """One step: its name, its table, the configuration it depends on, its inputs and its work.

    `reads` asks the reading for every input; `build` makes the files of the day in an empty folder.
    `standing` may say that a finished day no longer stands outside the store (a dropped table, say).
    `after` runs once the day is in force (to drop checkpoints, say).
    `refused` says whether a finished day is a refusal. A refusal and a kept day end the command with status 4.
    """

    name: str
    table: str
    sections: tuple[str, ...]
    reads: Callable[[Reading], None]
    build: Callable[[Reading, Path, Report], Built]
    standing: Callable[[Reading, Manifest], bool] = lambda reading, manifest: True
    after: Callable[[Reading], None] = lambda reading: None
    refused: Callable[[Manifest], bool] = lambda manifest: False

    def fresh(self, reading: Reading, manifest: Manifest | None) -> bool:
        """Whether the day in force was made from exactly these inputs and this configuration."""
        return (
            manifest is not None
            and reading.agrees(dict(manifest.inputs))
            and manifest.config == reading.config.fingerprint(*self.sections)
        )

    def run(
        self,
        config: Config,
        day: datetime.date,
        force: bool = False,
        report: Report = lambda text: None,
        wait: bool = False,
    ) -> Outcome:
        """Make the day unless it stands already; a failure is remembered for `status`.

        Where another process is at work on the day, that is an error, or, with `wait`, it is waited for.
        """
        started = time.monotonic()
        store = Store.of(config)
        try:
            reading = Reading(config, store, day, force=force)
            self.reads(reading)
            manifest, status = self._in_force(store, day, report), "skipped"
            if manifest is None or force or not self._stands(reading, manifest, report):
                manifest, status = self._make(reading, report, wait), "done"
            else:
                self._tidy(store, day, report)
        except Exception as error:
            self._remember(store, day, error, report)
            raise
        return self._outcome(manifest, status, time.monotonic() - started)

    def _in_force(self, store: Store, day: datetime.date, report: Report) -> Manifest | None:
        """The day in force; None when it was never made, or when only making it again mends its manifest."""
        try:
            return store.manifest(self.table, day)
        except DamagedError as error:
            report(f"{self.name} {day}: {error}")
            return None

    def _stands(self, reading: Reading, manifest: Manifest, report: Report) -> bool:
        """Whether the day in force is fresh and whole, here and outside the store."""
        if not self.fresh(reading, manifest):
            return False
        found = reading.store.damages(manifest)
        for damage in found:
            report(f"{self.name} {reading.day}: {damage}")
        return not found and self.standing(reading, manifest)

    def _tidy(self, store: Store, day: datetime.date, report: Report) -> None:
        """A day that stands is fine, whether or not what earlier runs left can be removed."""
        try:
            store.tidy(self.table, day)
        except (OSError, InputError) as error:
            report(f"{self.name} {day}: stands; what an earlier run left stays for now: {error}")

    def _remember(self, store: Store, day: datetime.date, failure: Exception, report: Report) -> None:
        """Keep a failure for `status`; where that cannot be written, the failure itself matters more."""
        text = explained(failure) if isinstance(failure, OSError) else str(failure)
        try:
            store.record_failure(self.table, day, masked(f"{type(failure).__name__}: {text}"))
        except OSError as error:
            report(f"{self.name} {day}: status will not show this failure: {error}")

    def _make(self, reading: Reading, report: Report, wait: bool) -> Manifest:
        store = reading.store
        with store.staging(self.table, reading.day, wait) as folder:
            reading = self._as_it_is_now(reading)
            built = self.build(reading, folder, report)
            if (reason := kept_reason(built.details)) is not None:
                report(f"{self.name} {reading.day}: kept: {reason}")
            manifest = store.commit(
                self.table,
                reading.day,
                folder,
                rows=built.rows,
                inputs=reading.inputs,
                config=reading.config.fingerprint(*self.sections),
                made_by={"pnn_gluon": __version__, **built.made_by},
                details=built.details,
            )
        self.after(reading)
        return manifest

    def _as_it_is_now(self, reading: Reading) -> Reading:
        """The reading, or a new one if an input changed before the day's lock was had."""
        config, store, day = reading.config, reading.store, reading.day
        now = Reading(config, store, day, peek=True, force=reading.force)
        self.reads(now)
        if now.agrees(reading.inputs):
            return reading
        again = Reading(config, store, day, force=reading.force)
        self.reads(again)
        return again

    def _outcome(self, manifest: Manifest, status: str, seconds: float) -> Outcome:
        refused, kept_day = self.refused(manifest), kept_reason(manifest.details) is not None
        return Outcome(
            step=self.name,
            day=manifest.day.isoformat(),
            status="kept" if kept_day else "refused" if refused else status,
            rows=manifest.rows,
            run=manifest.run,
            path=Store.relative(self.table, manifest.day, manifest.run),
            seconds=round(seconds, 3),
            details=manifest.details,
            exit_status=4 if refused or kept_day else 0,
        )
