"""What the store holds of a day, for those who are told of it: manifests, failures, when each was written."""

import datetime
import logging
from collections.abc import Mapping
from functools import cached_property

from pnn_gluon.config import Config
from pnn_gluon.days import plus
from pnn_gluon.errors import DamagedError, InputError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.steps import STEPS
from pnn_gluon.pipeline.tables import D, Table
from pnn_gluon.store.manifest import Manifest

log = logging.getLogger(__name__)


class TrackedDay:
    """One day of a pipeline, read only."""

    def __init__(self, config: Config, day: datetime.date) -> None:
        self.config, self.day, self.store = config, day, open_store(config)

    @cached_property
    def manifests(self) -> Mapping[str, Manifest]:
        """The manifests of the day by table; one that is damaged is left out, and said."""
        found = {step.table.name: self._manifest(step) for step in STEPS}
        return {table: manifest for table, manifest in found.items() if manifest is not None}

    @property
    def anything(self) -> bool:
        """Whether any step made the day, or failed at it."""
        return bool(self.manifests) or any(self.failure(step) is not None for step in STEPS)

    def _manifest(self, step: Step) -> Manifest | None:
        try:
            return self.store.manifest(step.table.name, self.day)
        except DamagedError as error:
            log.warning("track %s: left out: %s", self.day, error)
            return None

    def partition(self, table: Table[D]) -> Partition[D] | None:
        """A day of a table that was made and tells all of its details; None for any other."""
        manifest = self.manifests.get(table.name)
        if manifest is None:
            return None
        partition = Partition(self.store, table, manifest)
        try:
            return partition if partition.kept is None and partition.details is not None else None
        except InputError:
            return None

    def content(self, table: str, name: str) -> bytes | None:
        """A small file of a table; None where there is none, or it is damaged, which is said."""
        manifest = self.manifests.get(table)
        if manifest is None or name not in {file.name for file in manifest.files}:
            return None
        try:
            return self.store.content(manifest, name)
        except DamagedError as error:
            log.warning("track %s: left out: %s", self.day, error)
            return None

    def failure(self, step: Step) -> str | None:
        """Why the last try of a step failed on this machine; None if it did not."""
        return self.store.failure(step.table.name, self.day)

    def written(self, table: str) -> datetime.datetime:
        """When the manifest of a table was written, by the clock of where the store is (UTC)."""
        return self.store.written(table, self.day) or self.end

    def began(self, table: str) -> datetime.datetime:
        """When the step of a table began, by how long it took, where this machine made it; else when it was written."""
        manifest = self.manifests.get(table)
        spent = None if manifest is None else self.store.seconds(manifest)
        return self.written(table) - datetime.timedelta(seconds=spent or 0.0)

    def failed_at(self, step: Step) -> datetime.datetime:
        """When the last try of a step failed (UTC)."""
        return self.store.failed_at(step.table.name, self.day) or self.end

    @property
    def last_written(self) -> datetime.datetime:
        """When the newest of its manifests was written (UTC)."""
        return max((self.written(table) for table in self.manifests), default=self.end)

    @property
    def start(self) -> datetime.datetime:
        """The midnight with which it begins."""
        return datetime.datetime.combine(self.day, datetime.time(), datetime.UTC)

    @property
    def end(self) -> datetime.datetime:
        """The midnight with which it ends."""
        return datetime.datetime.combine(plus(self.day, 1), datetime.time(), datetime.UTC)
