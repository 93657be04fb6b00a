"""A step of a day, run once or not at all."""

import dataclasses
import datetime
import importlib
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from pnn_gluon import __version__
from pnn_gluon.config import Config
from pnn_gluon.disk_errors import explained
from pnn_gluon.errors import DamagedError, InputError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.reading import Reading
from pnn_gluon.pipeline.step import Built, Step
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.secrets_masking import masked
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import Store

log = logging.getLogger(__name__)

Build: TypeAlias = Callable[[Inputs, Path], Built]
"""Makes the files of a day in an empty folder."""


class Work(NamedTuple):
    """What a step does.

    Attributes:
        build: Makes the day.
        standing: Whether a finished day still stands outside the store (a table may have been dropped, say).
        alone: What keeps other machines away until the day is committed, where it changes something outside the store.
    """

    build: Build
    standing: Callable[[Inputs, Partition[Any]], bool] = lambda inputs, partition: True
    alone: Callable[[Inputs], AbstractContextManager[None]] = lambda inputs: nullcontext()


def work_of(step: Step) -> Work:
    """The work of a declared step: that of the module of its name."""
    module = importlib.import_module(f"jobs.steps.{step.name}")
    told = {name: getattr(module, name) for name in ("standing", "alone") if hasattr(module, name)}
    return Work(module.build, **told)


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


def run_step(
    step: Step,
    config: Config,
    day: datetime.date,
    force: bool = False,
    wait: bool = False,
    work: Work | None = None,
) -> Outcome:
    """Make a day unless it stands already; a failure is remembered for `status`.

    Where another process is at work on the day, that is an error, or, with `wait`, it is waited for.

    Args:
        step: The step.
        config: The pipeline.
        day: The day.
        force: Whether to make it even if it stands.
        wait: Whether to wait for another process.
        work: What the step does; that of its module by default.
    """
    return _Run(step, config, day, force, work or work_of(step)).run(wait)


class _Run:
    """One run of a step."""

    def __init__(self, step: Step, config: Config, day: datetime.date, force: bool, work: Work) -> None:
        self._step, self._config, self._day, self._force = step, step.config_on(config, day), day, force
        self._work, self._store, self._table = work, open_store(config), step.table.name

    def run(self, wait: bool) -> Outcome:
        started = time.monotonic()
        try:
            inputs, reading = self._read(late=self._force or self._in_force() is None)
            manifest, status = self._standing(inputs, reading), "skipped"
            if manifest is None:
                manifest, status = self._make(inputs, reading, wait)
            else:
                self._tidy()
        except Exception as error:
            self._remember(error)
            raise
        return self._outcome(manifest, status, time.monotonic() - started)

    def _read(self, peek: bool = False, late: bool = False) -> tuple[Inputs, Reading]:
        """The inputs; `late`, where there is no day in force whose raw logs could be the same, with logs unhashed."""
        reading = Reading(self._config, self._store, self._day, peek=peek, late=late)
        return Inputs.read(self._step, reading, self._force), reading

    def _in_force(self) -> Manifest | None:
        """The day in force; None when it was never made, or when only making it again mends its manifest."""
        try:
            return self._store.manifest(self._table, self._day)
        except DamagedError as error:
            self._say(str(error))
            return None

    def _standing(self, inputs: Inputs, reading: Reading) -> Manifest | None:
        """The day in force if there is nothing to do."""
        manifest = self._in_force()
        if manifest is None or self._force or not self._stands(inputs, reading, manifest):
            return None
        return manifest

    def _stands(self, inputs: Inputs, reading: Reading, manifest: Manifest) -> bool:
        """Whether the day in force is fresh and whole, here and outside the store."""
        if not self._step.fresh(reading, manifest):
            return False
        found = self._store.lacking(manifest)
        for damage in found:
            self._say(damage)
        return not found and self._work.standing(inputs, Partition(self._store, self._step.table, manifest))

    def _tidy(self) -> None:
        """A day that stands is fine, whether or not what earlier runs left can be removed."""
        try:
            self._store.tidy(self._table, self._day)
        except (OSError, InputError) as error:
            self._say(f"stands; what an earlier run left stays for now: {error}")

    def _remember(self, failure: Exception) -> None:
        """Keep a failure for `status`; where that cannot be written, the failure itself matters more."""
        text = explained(failure) if isinstance(failure, OSError) else str(failure)
        try:
            self._store.record_failure(self._table, self._day, masked(f"{type(failure).__name__}: {text}"))
        except OSError as error:
            self._say(f"status will not show this failure: {error}")

    def _make(self, inputs: Inputs, reading: Reading, wait: bool) -> tuple[Manifest, str]:
        """Make the day, unless the process that was waited for has made it."""
        started = time.monotonic()
        with self._store.staging(self._table, self._day, wait, self._work.alone(inputs)) as folder:
            inputs, reading = self._as_it_is_now(inputs, reading, wait)
            if wait and (manifest := self._standing(inputs, reading)) is not None:
                return manifest, "skipped"
            built = self._work.build(inputs, folder)
            reading.complete()
            if built.kept is not None:
                self._say(f"kept: {built.kept}")
            manifest = self._store.commit(
                self._table,
                self._day,
                folder,
                rows=built.rows,
                inputs=reading.recorded,
                options=self._step.chosen_options(self._config),
                version=self._step.version,
                made_by={"pnn_gluon": __version__, **built.made_by},
                details=built.to_json(),
                afresh=self._force,
            )
        self._store.drop_scratch(self._table, self._day)
        self._note_seconds(manifest, time.monotonic() - started)
        return manifest, "done"

    def _note_seconds(self, manifest: Manifest, seconds: float) -> None:
        """For the report; the day is made, whether or not that can be written."""
        try:
            self._store.note_seconds(manifest, seconds)
        except OSError as error:
            self._say(f"the report will not show how long it took: {error}")

    def _as_it_is_now(self, inputs: Inputs, reading: Reading, wait: bool) -> tuple[Inputs, Reading]:
        """What was read, or what is there now if the day was made, or an input changed, before its lock was had."""
        if wait and reading.late and not self._force and self._in_force() is not None:
            return self._read()
        _, now = self._read(peek=True)
        return (inputs, reading) if now.agrees(reading.recorded) else self._read()

    def _outcome(self, manifest: Manifest, status: str, seconds: float) -> Outcome:
        partition = Partition(self._store, self._step.table, manifest)
        refused = partition.kept is None and partition.details.refused
        word = "kept" if partition.kept is not None else "refused" if refused else status
        return Outcome(
            step=self._step.name,
            day=manifest.day.isoformat(),
            status=word,
            rows=manifest.rows,
            run=manifest.run,
            path=Store.relative(self._table, manifest.day, manifest.run),
            seconds=round(seconds, 3),
            details=manifest.details,
            exit_status=0 if word in {"done", "skipped"} else 4,
        )

    def _say(self, text: str) -> None:
        log.info("%s %s: %s", self._step.name, self._day, text)
