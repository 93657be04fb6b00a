"""How fast a pipeline trains on this machine, and what limits it: the feeder, the step or the loop around them."""

import dataclasses
import itertools
import json
import logging
import os
import statistics
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.table import Table

from jobs.command import ConfigOption
from jobs.terminal import console
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.reading import Reading
from pnn_gluon.pipeline.steps import step
from pnn_gluon.pipeline.tables import MAP_FILE, MAPS, SHARDS
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.training.families import family_of
from pnn_gluon.training.options import TrainingOptions

if TYPE_CHECKING:
    from pnn_gluon.arrays import Batch
    from pnn_gluon.blocks.layout import FieldLayout
    from pnn_gluon.data.feeder import Feeder
    from pnn_gluon.runtime import HybridBlock
    from pnn_gluon.training.loop import Progress

log = logging.getLogger(__name__)

WARM_UP = 20
"""Batches before a clock starts; the training loop is looked at every so many."""
LEAST_ROWS = 1 << 20
"""Rows that the feeder alone is timed over, unless the batches hold more."""
OVERHEAD = 0.2
"""What the loop may take beyond its slower part before it counts as what limits."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network to be trained and its rows.

    Attributes:
        model: Name of the model.
        model_options: For `create_model`.
        layout: Fields of a row.
        size: Number of ids V.
        feeder: The rows, in batches.
        batch_size: Rows of a batch.
        training: How it is trained.
        rows_of: Where the rows are from, for people.
    """

    model: str
    model_options: dict[str, Any]
    layout: "FieldLayout"
    size: int
    feeder: "Feeder"
    batch_size: int
    training: TrainingOptions
    rows_of: str

    def network(self) -> "HybridBlock":
        """A network that nothing has trained yet."""
        from pnn_gluon.models.registry import create_model

        return create_model(self.model, self.layout, self.size, **self.model_options)


@dataclasses.dataclass(frozen=True)
class Speed:
    """What was measured: milliseconds of a batch of the feeder alone, the step alone, and the training loop."""

    batch_size: int
    feeder_ms: float
    step_ms: float
    loop_ms: float

    @property
    def limit(self) -> str:
        """What decides the time of a batch of training: feeder, step or loop."""
        slower = max(self.feeder_ms, self.step_ms)
        if self.loop_ms > (1 + OVERHEAD) * slower:
            return "loop"
        return "feeder" if self.feeder_ms > self.step_ms else "step"

    def rows_per_second(self, milliseconds: float) -> int:
        """Rows a second at so many milliseconds a batch."""
        return round(1e3 * self.batch_size / milliseconds)


def command(
    config: ConfigOption,
    batches: Annotated[int, typer.Option(help="Batches timed in a round.", min=1)] = 100,
    rounds: Annotated[int, typer.Option(help="Rounds; medians of them count.", min=1)] = 3,
    ids: Annotated[int, typer.Option(help="Ids of generated rows, taken while nothing is encoded.", min=100)] = 10**6,
) -> None:
    """How fast the pipeline's model trains on this machine, and what limits it; one JSON line on stdout's end."""
    options = load_config(config)
    if not family_of(options.model.name).in_batches:
        raise ConfigError(f"{config}: model {options.model.name!r} is not trained in batches: bench measures networks")
    with TemporaryDirectory() as folder:
        subject = encoded_subject(options) or generated_subject(options, Path(folder), ids, batches)
        log.info("bench: %s, %s rows, %s ids", subject.rows_of, f"{subject.feeder.rows:,}", f"{subject.size:,}")
        speed = measure(subject, batches, rounds)
    _show(subject, speed)


def encoded_subject(config: Config) -> Subject | None:
    """The newest encoded shards of the store under the map that encoded them; None when there are none."""
    store = open_store(config)
    days = store.days(SHARDS.name)
    if not days:
        return None
    from jobs.steps.train_network import network_options, training_feeder
    from pnn_gluon.data.feature_map import FeatureMap

    inputs = Inputs.read(step("train"), Reading(config, store, days[-1]))
    feature_map = FeatureMap.load(inputs[Need(MAPS)].file(MAP_FILE))
    chosen, feeder = network_options(inputs, feature_map, None), training_feeder(inputs, feature_map)
    return _subject(config, chosen, feature_map.layout, feature_map.size, feeder, f"shards of {days[-1]}")


def generated_subject(config: Config, folder: Path, ids: int, batches: int) -> Subject:
    """Rows of the configuration's fields whose ids follow Zipf's law, equally many for each field, in a shard."""
    from pnn_gluon.blocks.layout import FieldLayout
    from pnn_gluon.data.feature_map import MapField
    from pnn_gluon.data.feeder import Feeder
    from pnn_gluon.data.shards import CHUNK_ROWS, ShardWriter

    fields = [MapField.from_config(field) for field in config.fields]
    layout = FieldLayout(tuple(field.name for field in fields), tuple(field.width for field in fields))
    each, batch_size = max(1, ids // layout.fields), config.training.batch_size
    size, random = 1 + each * layout.fields, np.random.default_rng(1)
    first = 1 + each * np.repeat(np.arange(layout.fields), layout.widths)  # (S,)
    path = folder / "generated.h5"
    with ShardWriter(path, day=str(config.first_day), slots=layout.slots, rate=1.0, size=size) as shard:
        for _ in range(-(-min(batches * batch_size, LEAST_ROWS) // CHUNK_ROWS)):
            drawn = first + random.zipf(1.2, (CHUNK_ROWS, layout.slots)) % each
            shard.append("train", drawn.astype(np.int32), random.random(CHUNK_ROWS) < 0.3)
    feeder = Feeder([path], "train", batch_size=batch_size, slots=layout.slots, size=size, seed=config.training.seed)
    chosen = config.model.options_for((each,) * layout.fields)
    return _subject(config, chosen, layout, size, feeder, "generated rows")


def _subject(
    config: Config, chosen: dict[str, Any], layout: "FieldLayout", size: int, feeder: "Feeder", rows_of: str
) -> Subject:
    if not feeder.rows:
        raise InputError(f"bench: the {rows_of} have no rows to train on; encode a day that has some")
    training = config.training
    return Subject(config.model.name, chosen, layout, size, feeder, training.batch_size, training.options, rows_of)


def measure(subject: Subject, batches: int, rounds: int) -> Speed:
    """Medians of rounds that go through feeder, step and loop in turn, over so many batches each."""
    measured = [
        (feeder_ms(subject, batches), step_ms(subject, batches), loop_ms(subject, batches)) for _ in range(rounds)
    ]
    return Speed(subject.batch_size, *(statistics.median(taken) for taken in zip(*measured, strict=True)))


def feeder_ms(subject: Subject, batches: int) -> float:
    """Milliseconds of a batch of the feeder alone, with the start of its passes."""
    wanted = max(batches, LEAST_ROWS // subject.batch_size)
    started, rows = time.perf_counter(), 0
    with closing(_batches(subject.feeder, wanted)) as source:
        for _, label, *_ in source:
            rows += len(label)
    return 1e3 * (time.perf_counter() - started) * subject.batch_size / rows


def step_ms(subject: Subject, batches: int) -> float:
    """Milliseconds of a step on batches in memory, queued one behind the other as the training loop does."""
    from pnn_gluon.ops import dense_precision
    from pnn_gluon.runtime import Tensor, mx
    from pnn_gluon.training.devices import contexts, initialize
    from pnn_gluon.training.optimizer import make_trainer
    from pnn_gluon.training.step import TrainingStep

    options, net = subject.training, subject.network()
    places = contexts(options.device, options.devices)
    initialize(net, places, options.seed)
    net.hybridize(static_alloc=True)
    step = TrainingStep(net, make_trainer(net, options), places, options.clip_norm, options.loss)
    with closing(_batches(subject.feeder, WARM_UP)) as source:
        kept = list(source)
    started, before = 0.0, list[Tensor]()
    with dense_precision(options.precision):
        for number in range(WARM_UP + batches):
            if number == WARM_UP:
                mx.nd.waitall()
                started = time.perf_counter()
            ids, label, *_ = kept[number % len(kept)]
            losses = step(ids, label)
            for loss in before:
                loss.asscalar()
            before = losses
    mx.nd.waitall()
    return 1e3 * (time.perf_counter() - started) / batches


def loop_ms(subject: Subject, batches: int) -> float:
    """Milliseconds of a batch of the training loop with its feeder, without checkpoints and validation."""
    from pnn_gluon.training.loop import train

    options = subject.training.replaced(
        epochs=1,
        checkpoint_every=WARM_UP,
        schedule="constant",  # the others ask for more epochs or for validation
        final_rate_share=0.0,
        plateau_factor=None,
    )
    readings: list[tuple[float, int]] = []

    def read_clock(progress: "Progress") -> None:
        readings.append((time.perf_counter(), progress.batches))

    train(subject.network(), _Some(subject.feeder, WARM_UP + batches), options, progress=read_clock)
    (started, before), (ended, after) = readings[0], readings[-1]
    return 1e3 * (ended - started) / (after - before)


def _batches(feeder: "Feeder", count: int) -> "Generator[Batch, None, None]":
    """That many batches, out of as many passes as it takes."""
    for epoch in itertools.count():
        with closing(feeder.batches(epoch)) as batches:
            for batch in batches:
                if not count:
                    return
                yield batch
                count -= 1


class _Some:
    """A batch source whose one pass is that many batches of a feeder."""

    def __init__(self, feeder: "Feeder", count: int) -> None:
        self._feeder, self.batch_count = feeder, count

    @property
    def fingerprint(self) -> str:
        return f"{self._feeder.fingerprint} {self.batch_count}"

    def batches(self, epoch: int, start_batch: int) -> "Generator[Batch, None, None]":
        return _batches(self._feeder, self.batch_count - start_batch)


def _show(subject: Subject, speed: Speed) -> None:
    from pnn_gluon.ops import chosen_precision, dense_precision, operators

    with dense_precision(subject.training.precision):
        machine = {
            "threads": int(os.environ["OMP_NUM_THREADS"]),
            "operators": operators(),
            "precision": chosen_precision(),
        }
    parts = {"feeder": speed.feeder_ms, "step": speed.step_ms, "loop": speed.loop_ms}
    table = Table("part", "ms a batch", "rows/s")
    for name, taken in parts.items():
        table.add_row(
            "training loop" if name == "loop" else f"{name} alone", f"{taken:.2f}", f"{speed.rows_per_second(taken):,}"
        )
    console().print(f"{subject.model}, batches of {subject.batch_size:,}, {subject.rows_of}")
    console().print(table)
    console().print(f"{', '.join(f'{name} {value}' for name, value in machine.items())}; what limits: {speed.limit}")
    figures = {f"{name}_ms": round(taken, 3) for name, taken in parts.items()}
    rates = {f"{name}_rows_per_second": speed.rows_per_second(taken) for name, taken in parts.items()}
    what = {"model": subject.model, "batch_size": subject.batch_size, "rows_of": subject.rows_of}
    print(json.dumps({**what, **figures, **rates, "limit": speed.limit, **machine}))
