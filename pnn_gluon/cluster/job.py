"""What every process of a cluster reads before it starts: one document in a folder that all of them see."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, ValidationError

from pnn_gluon.atomic import write_atomically
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.models.declared import with_tuples
from pnn_gluon.section import Section
from pnn_gluon.training.options import BatchSize, Seed, TrainingOptions, UnseenShare

if TYPE_CHECKING:
    from pnn_gluon.data.batch_part import BatchPart
    from pnn_gluon.data.feeder import Feeder
    from pnn_gluon.data.unseen import Unseen
    from pnn_gluon.runtime import HybridBlock

JOB_FILE = "job.json"
FAILED_FILE = "failed.txt"
"""Appears when one process has failed, with the reason; all others end when they see it."""
RESULT_FILE = "result.json"
START_FILE = "start.params"

Processes = Annotated[int, Field(ge=1, le=1000)]
StallSeconds = Annotated[float, Field(ge=5, le=86_400)]


class Shape(Section):
    """Processes of a cluster.

    Attributes:
        workers: Processes that compute gradients, each of its part of every batch.
        servers: Processes that keep the parameters and update them.
        stall_seconds: How long a process waits for the others to get on before it ends.
    """

    workers: Processes = 2
    servers: Processes = 1
    stall_seconds: StallSeconds = 300.0


class JobModel(Section):
    """The network: its name and options, fields by name with the slots of each, and number of ids V."""

    name: str
    options: dict[str, Any]
    fields: dict[str, int]
    size: Annotated[int, Field(ge=1)]

    @property
    def layout(self) -> FieldLayout:
        """The fields of a row."""
        return FieldLayout.from_widths(self.fields)

    def create(self, size: int) -> "HybridBlock":
        """The network with tables of `size` rows, without values."""
        from pnn_gluon.models.registry import create_model

        options = {name: with_tuples(value) for name, value in self.options.items()}
        return create_model(self.name, self.layout, size, **options)


class HiddenFields(Section):
    """See `pnn_gluon.data.unseen.Unseen`: *other* and *missing* of each field, 0 where it is never hidden."""

    share: UnseenShare
    other: tuple[int, ...]
    missing: tuple[int, ...]
    seed: Seed

    @classmethod
    def of(cls, unseen: "Unseen") -> Self:
        """What another process needs to hide the same fields."""
        other, missing = tuple(unseen.other.tolist()), tuple(unseen.missing.tolist())
        return cls(share=unseen.share, other=other, missing=missing, seed=unseen.seed)


class TrainingRows(Section):
    """Rows that are trained on: shards in their order, and what `pnn_gluon.data.feeder.Feeder` is told of them."""

    paths: tuple[Path, ...]
    share: str = "train"
    batch_size: BatchSize
    seed: Seed
    unseen: HiddenFields | None = None


class ValidationRows(Section):
    """Rows whose log loss says when to stop: a share of some shards, its sampling rate."""

    paths: tuple[Path, ...]
    share: str
    rate: Annotated[float, Field(gt=0, le=1)]


class Job(Section):
    """A training run of a cluster.

    Attributes:
        format: Of this document.
        shape: The processes.
        model: The network.
        training: How to train; `devices` is the number of devices of each worker.
        rows: What to train on.
        validation: What decides when to stop; None for nothing.
        warm: Whether `start.params` beside the document has the starting values; else they are drawn from the seed.
        resume: Name of the checkpoint to go on from; None to start.
    """

    format: Literal[1] = 1
    shape: Shape
    model: JobModel
    training: TrainingOptions
    rows: TrainingRows
    validation: ValidationRows | None = None
    warm: bool = False
    resume: str | None = None

    def write(self, folder: Path) -> None:
        """Put the document into a folder."""
        write_atomically(folder / JOB_FILE, (self.model_dump_json(indent=1) + "\n").encode())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The document of a folder.

        Raises:
            InputError: it is missing, or not one of this release.
        """
        path = folder / JOB_FILE
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError, ValidationError, ConfigError) as error:
            raise InputError(f"{path}: not the job of a cluster ({error}); let the step train write it anew") from error

    def checkpoints(self, folder: Path) -> Path:
        """Where a job in a folder keeps its checkpoints; those of another number of processes lie elsewhere."""
        return folder / f"checkpoints-{self.shape.workers}-{self.shape.servers}"

    def checkpoint(self, folder: Path) -> Path | None:
        """The checkpoint to go on from."""
        return None if self.resume is None else self.checkpoints(folder) / self.resume

    def part(self, worker: int) -> "BatchPart":
        """What a worker trains on: of every batch a part for each of its devices."""
        from pnn_gluon.data.batch_part import BatchPart

        devices = self.training.devices
        return BatchPart(worker * devices, (worker + 1) * devices, self.shape.workers * devices)

    def feeder(self, part: "BatchPart | None" = None) -> "Feeder":
        """The training rows in the order in which one process of several devices takes them; all, or a part of them."""
        from pnn_gluon.data.batch_part import WHOLE
        from pnn_gluon.data.feeder import Feeder

        slots = self.model.layout.slots
        rows = self.rows
        return Feeder(
            rows.paths,
            rows.share,
            batch_size=rows.batch_size,
            slots=slots,
            size=self.model.size,
            seed=rows.seed,
            unseen=self._unseen(),
            part=part or WHOLE,
        )

    def _unseen(self) -> "Unseen | None":
        from pnn_gluon.data.unseen import Unseen

        hidden = self.rows.unseen
        if hidden is None:
            return None
        other, missing = np.array(hidden.other, np.int32), np.array(hidden.missing, np.int32)
        return Unseen(self.model.layout, hidden.share, other, missing, hidden.seed)


def result_of(folder: Path) -> Mapping[str, Any]:
    """What the workers' run gave, as `TrainingResult`'s attributes."""
    result: Mapping[str, Any] = json.loads((folder / RESULT_FILE).read_text())
    return result
