"""A step of the pipeline: what it reads, what it makes and what it depends on."""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pnn_gluon.config import Config
from pnn_gluon.days import plus
from pnn_gluon.pipeline.details import KEPT, Details
from pnn_gluon.pipeline.inputs import Edge, Input, Known
from pnn_gluon.pipeline.legacy import legacy_fingerprint
from pnn_gluon.pipeline.options import chosen_options
from pnn_gluon.pipeline.tables import Table
from pnn_gluon.queues import ETL

if TYPE_CHECKING:
    from pnn_gluon.pipeline.reading import Reading
    from pnn_gluon.store.manifest import Manifest

Schedule: TypeAlias = Literal["daily", "nightly", "by hand"]
"""When a step runs. A nightly step is a daily one where a daily one reads what it makes."""

Group: TypeAlias = Literal["data", "model", "scores"]
"""The part of a day that a step belongs to."""


@dataclasses.dataclass(frozen=True)
class Step:
    """A step: `jobs/steps/<name>.py` holds the work, `build`.

    Attributes:
        name: Of the step and its module.
        table: What it makes.
        inputs: What it reads, in this order; `build` gets these and nothing else.
        options: Sections (`source`) and options (`training.epochs`) it depends on; `build` sees no others.
        version: Goes up when the same inputs and options give something else than before, and days made before are to
            be made again. A changed default is such a change.
        stands: Earlier versions whose days stand: what they decided or measured was right, and is told otherwise now.
        does: What it does, in a sentence.
        mend: What to look at when it fails, in a sentence or two.
        schedule: When it runs.
        group: The part of the day that it belongs to.
        by_hand: The command that makes its table, for a step that runs by hand; {where} and {day} are filled in.
        alone: Whether one machine is busy with one day of it.
        given: What a person chose for a step that runs by hand, by name: beside the options, and of the same effect.
        hours: The most that a day may take, after which Airflow ends it; `limits.hours` gives another number.
        rows_of: Whose rows it reads from raw files: those of the day, of the day after, or of the day whose labels have
            matured. Their fields are the ones it knows.
        queue: Of workers that run it, where Airflow has such; `workers.queues` gives another one.
    """

    name: str
    table: Table[Any]
    inputs: tuple[Input[Any], ...] = ()
    options: tuple[str, ...] = ()
    version: int = 1
    stands: tuple[int, ...] = ()
    does: str = ""
    mend: str = ""
    schedule: Schedule = "daily"
    group: Group = "data"
    by_hand: str = ""
    alone: bool = False
    given: tuple[tuple[str, Any], ...] = ()
    hours: float = 2.0
    queue: str = ETL
    rows_of: Literal["day", "day after", "matured day"] = "day"

    def read(self, reading: "Reading") -> Known:
        """Read every input."""
        known = Known(self.name)
        for declared in self.inputs:
            known.add(declared, reading)
        return known

    @property
    def reads(self) -> str:
        """What it reads, in words."""
        return ", ".join(words for declared in self.inputs if (words := declared.words))

    def edges(self, config: Config) -> tuple[Edge, ...]:
        """The tables that its inputs come from."""
        return tuple(dict.fromkeys(edge for declared in self.inputs for edge in declared.edges(config)))

    def config_on(self, config: Config, day: datetime.date) -> Config:
        """The configuration of a pipeline with the fields of one of its days."""
        shift = {"day": 0, "day after": 1, "matured day": -config.calibration.maturity_days}[self.rows_of]
        return config.on(plus(day, shift))

    def limit(self, config: Config) -> float:
        """The most hours that a day may take in a pipeline."""
        return config.limits.hours.get(self.name, self.hours)

    def queue_in(self, config: Config) -> str:
        """The queue of workers that it goes to in a pipeline."""
        return config.workers.queues.get(self.name, self.queue)

    def chosen_options(self, config: Config) -> dict[str, Any]:
        """The options it depends on that differ from their defaults, and what a person chose."""
        return {**chosen_options(config, self.options), **dict(self.given)}

    def same_code(self, manifest: "Manifest") -> bool:
        """Whether a day was made by this version, or by one whose days stand."""
        return manifest.version in {self.version, *self.stands}

    def same_options(self, config: Config, manifest: "Manifest", chosen: Mapping[str, Any] | None = None) -> bool:
        """Whether a day was made with the options that the configuration has now.

        Args:
            config: The configuration.
            manifest: Of the day.
            chosen: Its `chosen_options`, for those who ask for many days; they take some milliseconds to find.
        """
        if manifest.options is None:
            return not self.given and manifest.config == legacy_fingerprint(config, self.name)
        return dict(manifest.options) == (self.chosen_options(config) if chosen is None else chosen)

    def fresh(self, reading: "Reading", manifest: "Manifest") -> bool:
        """Whether a day was made from exactly these inputs and options by this version, or one that stands."""
        return (
            self.same_code(manifest)
            and reading.agrees(dict(manifest.inputs))
            and self.same_options(reading.config, manifest)
        )


@dataclasses.dataclass(frozen=True)
class Built:
    """What a step put into its staging folder.

    Attributes:
        rows: Its number of rows.
        details: What it tells readers.
        made_by: What the last bits depend on besides inputs and options.
        kept: Why nothing could be made, if so: what stood before the day stays in force.
    """

    rows: int
    details: Details | Mapping[str, Any]
    made_by: Mapping[str, str] = dataclasses.field(default_factory=dict)
    kept: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The details of the manifest."""
        told = self.details.to_json() if isinstance(self.details, Details) else dict(self.details)
        return told if self.kept is None else {**told, KEPT: self.kept}


def kept(reason: str, details: Details | Mapping[str, Any] | None = None) -> Built:
    """A day on which a step could make nothing: what stood before it stays in force.

    Args:
        reason: Why, for a reader.
        details: What readers of the table expect there all the same.
    """
    return Built(0, details or {}, kept=reason)
