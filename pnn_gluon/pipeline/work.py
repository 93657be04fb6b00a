"""What a step's work gets: its inputs, its options, and a place for what should outlive a kill."""

import datetime
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pnn_gluon.config import Config
from pnn_gluon.pipeline.bundles import bundle_folder
from pnn_gluon.pipeline.details import ChampionDetails
from pnn_gluon.pipeline.inputs import Input, Known
from pnn_gluon.pipeline.options import declared
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.reading import Reading
from pnn_gluon.pipeline.step import Step
from pnn_gluon.store.store import Store

T = TypeVar("T")


class Inputs:
    """One day's work of a step: what it declared, and nothing else.

    Attributes:
        day: The day.
        config: The sections and options that the step declared; others are errors.
        force: Whether nothing may be taken over from the day in force.
        store: For locks and failures; what is read of it must be declared.
    """

    def __init__(self, step: Step, reading: Reading, known: Known, force: bool = False) -> None:
        self.day: datetime.date = reading.day
        self.config: Config = declared(reading.config, step.options, step.name)
        self.force = force
        self.store: Store = reading.store
        self._step, self._reading, self._known = step, reading, known

    @classmethod
    def read(cls, step: Step, reading: Reading, force: bool = False) -> "Inputs":
        """Read everything that a step declares."""
        return cls(step, reading, step.read(reading), force)

    def __getitem__(self, wanted: Input[T]) -> T:
        """What an input has given.

        Raises:
            LookupError: the step does not declare it.
        """
        return self._known[wanted]

    @property
    def late(self) -> bool:
        """Whether raw logs that the step reads are still to be hashed."""
        return self._reading.late

    def hashed(self, digests: Mapping[str, str]) -> None:
        """Tell the SHA-256, by name, of raw logs that were hashed while they were read."""
        self._reading.hashed(digests)

    @property
    def options(self) -> dict[str, Any]:
        """The options that the step declared, those that differ from their defaults, by path."""
        return self._step.chosen_options(self._reading.config)

    @property
    def matured_day(self) -> datetime.date | None:
        """The day whose labels are complete by now; None when that is before the first day."""
        return self._reading.matured_day()

    def made_alike(self, other: Partition[Any], step: Step) -> bool:
        """Whether a day of another step was made from exactly what was read here, with the options of now."""
        manifest = other.manifest
        return (
            manifest.version == step.version
            and dict(manifest.inputs) == self._reading.recorded
            and step.same_options(self._reading.config, manifest)
        )

    def changed_inputs(self, before: Partition[Any], step: Step) -> list[str] | None:
        """The inputs that were other ones for an earlier run of this step; None if its options or its version were."""
        manifest = before.manifest
        if manifest.version != step.version or not step.same_options(self._reading.config, manifest):
            return None
        return self._reading.changed(dict(manifest.inputs))

    def bundle_in_force(self, champion: Partition[ChampionDetails] | None) -> Path | None:
        """The bundle that a champion points to; None when no model was in force."""
        return None if champion is None else bundle_folder(self.store, champion.details.pointer)

    def scratch(self) -> Path:
        """A folder that outlives a kill, for exactly these inputs, options and version; gone when the day is made."""
        step = self._step
        made_of = [self._reading.recorded, self.options, step.version]
        key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
        return self.store.scratch(step.table.name, self.day, key)
