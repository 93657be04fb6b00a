"""The training loop: epochs of batches, early stopping, checkpoints."""

import hashlib
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.errors import InputError, PnnError
from pnn_gluon.runtime import HybridBlock, Tensor, mx
from pnn_gluon.training.checkpoint import Checkpoints, EpochRecord, RunState
from pnn_gluon.training.devices import contexts, initialize
from pnn_gluon.training.optimizer import make_trainer
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import Values, check_finite, put_values, take_values
from pnn_gluon.training.step import TrainingStep

Batch = tuple[NDArray[np.int32], NDArray[np.float32]]


class BatchSource(Protocol):
    """What `train` reads; `pnn_gluon.data.feeder.Feeder` is one."""

    @property
    def fingerprint(self) -> str:
        """Hash of what the batches depend on."""

    def batches(self, epoch: int, start_batch: int) -> Generator[Batch, None, None]:
        """The batches of a pass from a number on: ids int32 (B, S), labels float32 (B,)."""


@dataclass(frozen=True)
class Progress:
    """Where training stands at a checkpoint: the epoch, the batches done in it, its mean log loss so far."""

    epoch: int
    batches: int
    examples: int
    log_loss: float


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run gave.

    Attributes:
        history: One record for each epoch.
        best_epoch: Number, from 0, of the epoch whose parameters the network has.
        steps: Updates made in all epochs.
        examples: Examples seen in all epochs.
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
) -> TrainingResult:
    """Fit a network to log loss; afterwards it has the parameters of the best epoch (the last without `validate`).

    Parameters without values get starting values drawn from the seed; others start from the values they have.
    A run that was stopped at any moment goes on from its newest checkpoint and ends with the same bytes as one that
    was not, given the same thread count and starting values; a finished one returns at once.

    Args:
        net: ids int32 (B, S) -> logits (B,). It is hybridized.
        source: The training batches.
        options: How to train.
        validate: Called after each epoch; the lower its value the better the epoch.
        checkpoint_dir: Folder for the checkpoints of this run alone; None to keep none.
        progress: Called every `checkpoint_every` batches and after the last batch of each epoch.

    Raises:
        ConfigError: unusable devices, or a checkpoint of another run.
        InputError: no batches, or what the source raises.
        PnnError: the loss, a parameter or the value of `validate` is not finite.
    """
    places = contexts(options.device, options.devices)
    initialize(net, places, options.seed)
    net.hybridize(static_alloc=True)
    trainer = make_trainer(net, options)
    step = TrainingStep(net, trainer, places, options.clip_norm)
    checkpoints = None if checkpoint_dir is None else Checkpoints(checkpoint_dir)
    return _Run(net, source, options, trainer, step, validate, checkpoints, progress).result()


def _fingerprint(options: TrainingOptions, source: BatchSource) -> str:
    return hashlib.sha256(f"{options!r} {source.fingerprint}".encode()).hexdigest()


@dataclass
class _Run:
    """One run in progress."""

    net: HybridBlock
    source: BatchSource
    options: TrainingOptions
    trainer: Any
    step: TrainingStep
    validate: Callable[[HybridBlock], float] | None
    checkpoints: Checkpoints | None
    progress: Callable[[Progress], None] | None

    def __post_init__(self) -> None:
        fingerprint = _fingerprint(self.options, self.source)
        saved = self.checkpoints and self.checkpoints.load(self.net, self.trainer, fingerprint)
        self.state = saved or RunState(fingerprint)
        self.best = self._saved_best()

    def _saved_best(self) -> Values | None:
        if self.checkpoints is None or self.state.best_epoch is None:
            return None
        return self.checkpoints.load_best(self.state.best_epoch)

    def result(self) -> TrainingResult:
        while not self.state.finished:
            self._finish_epoch()
        if self.best is not None:
            put_values(self.net, self.best)
        history = tuple(self.state.history)
        best = history[-1].epoch if self.state.best_epoch is None else self.state.best_epoch
        steps, examples = sum(r.steps for r in history), sum(r.examples for r in history)
        return TrainingResult(history, best, steps, examples)

    def _finish_epoch(self) -> None:
        """Train the rest of the current epoch and judge it."""
        state = self.state
        with closing(self.source.batches(state.epoch, state.batch)) as batches:
            while self._segment(batches) == self.options.checkpoint_every:
                self._save()
        if not state.examples:
            raise InputError("no training examples: every batch source needs at least one row")
        self._judge()
        state.epoch, state.batch, state.examples, state.loss_sum = state.epoch + 1, 0, 0, 0.0
        state.finished = state.epoch == self.options.epochs or self._out_of_patience()
        self._save()

    def _segment(self, batches: Iterator[Batch]) -> int:
        """Train up to the next checkpoint; the number of batches it took."""
        state, first = self.state, self.state.batch
        mx.random.seed(_segment_seed(self.options, state.epoch, state.batch))
        running: list[Tensor] = []
        for ids, label in islice(batches, self.options.checkpoint_every):
            losses = self.step(ids, label)
            self._add_losses(running)  # of the step before: this step is already being computed
            running = losses
            state.batch += 1
            state.examples += len(label)
        self._add_losses(running)
        if state.batch > first:
            self._report()
        return state.batch - first

    def _add_losses(self, losses: list[Tensor]) -> None:
        total = math.fsum(float(loss.asscalar()) for loss in losses)
        if not math.isfinite(total):
            raise PnnError(
                f"training diverged in epoch {self.state.epoch} at batch {self.state.batch}: the log loss is {total}; "
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
        check_finite(self.net, f"in epoch {state.epoch}")
        value = None if self.validate is None else float(self.validate(self.net))
        if value is not None and not math.isfinite(value):
            raise PnnError(f"validation of epoch {state.epoch} gave {value}, expected a finite number")
        mean = state.loss_sum / state.examples
        state.history.append(EpochRecord(state.epoch, state.batch, state.examples, mean, value))
        if value is None or not _is_best(state.history):
            return
        state.best_epoch, self.best = state.epoch, take_values(self.net)
        if self.checkpoints is not None:
            self.checkpoints.save_best(state.epoch, self.best)

    def _out_of_patience(self) -> bool:
        best = self.state.best_epoch
        return best is not None and self.state.epoch - 1 - best >= self.options.patience

    def _save(self) -> None:
        if self.checkpoints is not None:
            check_finite(self.net, f"in epoch {self.state.epoch}")
            self.checkpoints.save(self.net, self.trainer, self.state)


def _is_best(history: list[EpochRecord]) -> bool:
    """Whether the last epoch is better than every one before; of equal ones the first counts."""
    values = [record.validation for record in history if record.validation is not None]
    return all(values[-1] < value for value in values[:-1])


def _segment_seed(options: TrainingOptions, epoch: int, batch: int) -> int:
    """Seed of the random numbers between two checkpoints."""
    key = (options.seed, epoch, batch // options.checkpoint_every)
    return int(np.random.SeedSequence(key).generate_state(1)[0] >> 1)
