"""The training loop: epochs of batches, early stopping, checkpoints."""

import hashlib
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from pnn_gluon.arrays import Batch
from pnn_gluon.blocks.id_table import refuse_cut_tables
from pnn_gluon.errors import ConfigError, InputError, PnnError
from pnn_gluon.ops import dense_precision, native_operators, plain_operators, refuse_added_gradients
from pnn_gluon.runtime import HybridBlock, Tensor
from pnn_gluon.training.averaging import MeanWeights
from pnn_gluon.training.carried_states import CarriedStates
from pnn_gluon.training.checkpoint import Checkpoints, RunState
from pnn_gluon.training.devices import contexts, initialize
from pnn_gluon.training.history import EpochRecord, is_best, steps_of
from pnn_gluon.training.one_process import OneProcess
from pnn_gluon.training.optimizer import make_trainer
from pnn_gluon.training.options import DISTRIBUTED, TrainingOptions
from pnn_gluon.training.schedule import learning_rate, needs_batch_count
from pnn_gluon.training.step import TrainingStep, examples_of


class BatchSource(Protocol):
    """What `train` reads; `pnn_gluon.data.feeder.Feeder` is one."""

    @property
    def fingerprint(self) -> str:
        """Hash of what the batches depend on."""

    @property
    def batch_count(self) -> int:
        """Number of batches of a pass; asked for by learning rate schedules that end with the run."""

    def batches(self, epoch: int, start_batch: int) -> Generator[Batch, None, None]:
        """The batches of a pass from a number on: ids int32 (B, S), labels float32 (B,), weights (B,) or none."""


class Place(Protocol):
    """Where a network is trained, one process or a worker of a cluster: what the loop asks of it."""

    def load(self, fingerprint: str) -> RunState | None:
        """Go to where the newest checkpoint left off; None if there is none."""

    def seed(self, number: int) -> None:
        """Begin the random numbers of training (dropout) anew."""

    def step(self, batch: Batch, rate: float, number: int) -> list[Tensor]:
        """Take step `number` of the run, from 1, with a learning rate; loss sums of the batch, not yet computed."""

    def gathered(self, loss: float, examples: int) -> tuple[float, int]:
        """The sums of what all processes have: of the loss, which is 0 in all of them but one, and of examples."""

    def end_epoch(self) -> None:
        """Do what waits for the end of an epoch."""

    def judge(self, where: str) -> float | None:
        """Value of the validation; None without. Raises PnnError if a parameter is not finite."""

    def keep_best(self, epoch: int) -> None:
        """Keep the parameters as the best so far."""

    def save(self, state: RunState, where: str) -> None:
        """Write a checkpoint, if any are kept. Raises PnnError if a parameter is not finite."""

    def finish(self, best_epoch: int | None) -> None:
        """Give the network the parameters of the best epoch, or the last."""


@dataclass(frozen=True)
class Progress:
    """Where training stands at a checkpoint: the epoch, the batches done in it, its mean loss so far.

    Examples are impressions: a row counts by its weight, where there are weights, and so it does in the loss.
    """

    epoch: int
    batches: int
    examples: int
    loss: float


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run gave.

    Attributes:
        history: One record for each epoch.
        best_epoch: Number, from 0, of the epoch whose parameters the network has.
        steps: Updates made in all epochs.
        examples: Examples seen in all epochs, by their weights.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    steps: int
    examples: int


def train(
    net: HybridBlock,
    source: BatchSource,
    options: TrainingOptions,
    *,
    validate: Callable[[HybridBlock], float] | None = None,
    checkpoint_dir: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    carried: CarriedStates | None = None,
) -> TrainingResult:
    """Fit a network; afterwards it has the parameters of the best epoch (the last without `validate`).

    With `average_decay` these are the means of the parameters at the end of that epoch, and `validate` sees means too.
    Parameters without values get starting values drawn from the seed; others start from the values they have.
    A run that was stopped at any moment goes on from its newest checkpoint and ends with the same bytes as one that
    was not, given the same thread count and starting values; a finished one returns at once.

    Args:
        net: ids int32 (B, S) -> logits, or outputs for squared loss, (B,). It is hybridized.
        source: The training batches.
        options: How to train.
        validate: Called after each epoch; the lower its value the better the epoch.
        checkpoint_dir: Folder for the checkpoints of this run alone; None to keep none.
        progress: Called every `checkpoint_every` batches and after the last batch of each epoch.
        carried: The optimizer's states to begin with and to leave; by default it begins fresh and leaves none.

    Raises:
        ConfigError: unusable devices, an option that has no effect on this network or without `validate`, or a
            checkpoint of another run, a parameter that adds up its gradients, or what only native operators have where
            they do not serve: a precision, tables of several tensors.
        InputError: no batches, or what the source raises.
        PnnError: the loss, a parameter or the value of `validate` is not finite.
    """
    if options.schedule == "plateau" and validate is None:
        raise ConfigError("schedule 'plateau' has no effect without validation: give `validate`, or another schedule")
    if options.kvstore in DISTRIBUTED:
        raise ConfigError(f"kvstore {options.kvstore!r} is for a cluster: take train_on_cluster, or another kvstore")
    places = contexts(options.device, options.devices)
    refuse_added_gradients(net)
    if options.device == "gpu" or not native_operators():
        refuse_cut_tables(net)
    initialize(net, places, options.seed)
    net.hybridize(static_alloc=True)
    trainer = make_trainer(net, options)
    step = TrainingStep(net, trainer, places, options.clip_norm, options.loss)
    means = None if options.average_decay is None else MeanWeights(net, options.average_decay)
    checkpoints = None if checkpoint_dir is None else Checkpoints(checkpoint_dir, means.values if means else {})
    place = OneProcess(net, trainer, step, means, validate, checkpoints, carried)
    with plain_operators() if options.device == "gpu" else nullcontext(), dense_precision(options.precision):
        return run(place, source, options, progress)


def run(
    place: Place,
    source: BatchSource,
    options: TrainingOptions,
    progress: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Train where a network is placed, see `train`; every process of a cluster runs this, on its part of batches."""
    return _Run(place, source, options, progress).result()


def fingerprint_of(options: TrainingOptions, source: BatchSource) -> str:
    """What the checkpoints of a run depend on."""
    return hashlib.sha256(f"{options!r} {source.fingerprint}".encode()).hexdigest()


@dataclass
class _Run:
    """One run in progress."""

    place: Place
    source: BatchSource
    options: TrainingOptions
    progress: Callable[[Progress], None] | None

    def __post_init__(self) -> None:
        fingerprint = fingerprint_of(self.options, self.source)
        self.state = self.place.load(fingerprint) or RunState(fingerprint)
        self.batch_count = self.source.batch_count if needs_batch_count(self.options) else None

    def result(self) -> TrainingResult:
        while not self.state.finished:
            self._finish_epoch()
        self.place.finish(self.state.best_epoch)
        history = tuple(self.state.history)
        best = history[-1].epoch if self.state.best_epoch is None else self.state.best_epoch
        return TrainingResult(history, best, steps_of(history), sum(record.examples for record in history))

    def _finish_epoch(self) -> None:
        """Train the rest of the current epoch and judge it."""
        state = self.state
        with closing(self.source.batches(state.epoch, state.batch)) as batches:
            while self._segment(batches) == self.options.checkpoint_every:
                self._save()
        if not state.examples:
            raise InputError("no training examples: every batch source needs at least one row")
        self.place.end_epoch()
        self._judge()
        state.epoch, state.batch, state.examples, state.loss_sum = state.epoch + 1, 0, 0, 0.0
        state.finished = state.epoch == self.options.epochs or self._out_of_patience()
        self._save()

    def _segment(self, batches: Iterator[Batch]) -> int:
        """Train up to the next checkpoint; the number of batches it took."""
        state, first = self.state, self.state.batch
        self.place.seed(_segment_seed(self.options, state.epoch, state.batch))
        running: list[Tensor] = []
        examples = 0
        for batch in islice(batches, self.options.checkpoint_every):
            losses = self._step(batch)
            self._add_losses(running)  # of the step before: this step is already being computed
            running = losses
            state.batch += 1
            examples += round(examples_of(*batch))
        self._add_losses(running)
        if state.batch > first:
            state.loss_sum, examples = self.place.gathered(state.loss_sum, examples)
            state.examples += examples
            self._report()
        return state.batch - first

    def _step(self, batch: Batch) -> list[Tensor]:
        state = self.state
        rate = learning_rate(self.options, state.history, state.batch, self.batch_count)
        return self.place.step(batch, rate, steps_of(state.history) + state.batch + 1)

    def _add_losses(self, losses: list[Tensor]) -> None:
        total = math.fsum(float(loss.asscalar()) for loss in losses)
        if not math.isfinite(total):
            raise PnnError(
                f"training diverged in epoch {self.state.epoch} at batch {self.state.batch}: the loss is {total}; "
                "lower learning_rate or set clip_norm"
            )
        self.state.loss_sum += total

    def _report(self) -> None:
        state = self.state
        if self.progress is not None:
            mean = state.loss_sum / state.examples
            self.progress(Progress(state.epoch, state.batch, state.examples, mean))

    def _judge(self) -> None:
        """Record the epoch, and keep its parameters if it is the best so far."""
        state = self.state
        value = self.place.judge(f"in epoch {state.epoch}")
        if value is not None and not math.isfinite(value):
            raise PnnError(f"validation of epoch {state.epoch} gave {value}, expected a finite number")
        mean = state.loss_sum / state.examples
        state.history.append(EpochRecord(state.epoch, state.batch, state.examples, mean, value))
        if value is not None and is_best(state.history):
            state.best_epoch = state.epoch
            self.place.keep_best(state.epoch)

    def _out_of_patience(self) -> bool:
        best = self.state.best_epoch
        return best is not None and self.state.epoch - 1 - best >= self.options.patience

    def _save(self) -> None:
        self.place.save(self.state, f"in epoch {self.state.epoch}")


def _segment_seed(options: TrainingOptions, epoch: int, batch: int) -> int:
    """Seed of the random numbers between two checkpoints."""
    key = (options.seed, epoch, batch // options.checkpoint_every)
    return int(np.random.SeedSequence(key).generate_state(1)[0] >> 1)
