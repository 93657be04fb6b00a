"""The training loop: epochs of batches, early stopping, checkpoints."""

import hashlib
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Batch
from pnn_gluon.errors import ConfigError, InputError, PnnError
from pnn_gluon.ops import dense_precision, plain_operators, refuse_added_gradients
from pnn_gluon.runtime import HybridBlock, Tensor, mx
from pnn_gluon.training.adamw import catch_up_decay
from pnn_gluon.training.averaging import MeanWeights
from pnn_gluon.training.checkpoint import Checkpoints, RunState
from pnn_gluon.training.devices import contexts, initialize
from pnn_gluon.training.history import EpochRecord, is_best, steps_of
from pnn_gluon.training.optimizer import make_trainer
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import Values, check_finite, put_values, take_values
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

    Raises:
        ConfigError: unusable devices, an option that has no effect on this network or without `validate`, or a
            checkpoint of another run, a parameter that adds up its gradients, or a precision that only native
            operators have where they do not serve.
        InputError: no batches, or what the source raises.
        PnnError: the loss, a parameter or the value of `validate` is not finite.
    """
    if options.schedule == "plateau" and validate is None:
        raise ConfigError("schedule 'plateau' has no effect without validation: give `validate`, or another schedule")
    places = contexts(options.device, options.devices)
    refuse_added_gradients(net)
    initialize(net, places, options.seed)
    net.hybridize(static_alloc=True)
    trainer = make_trainer(net, options)
    step = TrainingStep(net, trainer, places, options.clip_norm, options.loss)
    means = None if options.average_decay is None else MeanWeights(net, options.average_decay)
    checkpoints = None if checkpoint_dir is None else Checkpoints(checkpoint_dir, means.values if means else {})
    with plain_operators() if options.device == "gpu" else nullcontext(), dense_precision(options.precision):
        return _Run(net, source, options, trainer, step, means, validate, checkpoints, progress).result()


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
    means: MeanWeights | None
    validate: Callable[[HybridBlock], float] | None
    checkpoints: Checkpoints | None
    progress: Callable[[Progress], None] | None

    def __post_init__(self) -> None:
        fingerprint = _fingerprint(self.options, self.source)
        saved = self.checkpoints and self.checkpoints.load(self.net, self.trainer, fingerprint)
        self.state = saved or RunState(fingerprint)
        self.best = self._saved_best()
        self.batch_count = self.source.batch_count if needs_batch_count(self.options) else None

    def _saved_best(self) -> Values | None:
        if self.checkpoints is None or self.state.best_epoch is None:
            return None
        return self.checkpoints.load_best(self.state.best_epoch)

    def result(self) -> TrainingResult:
        while not self.state.finished:
            self._finish_epoch()
        if self.best is not None:
            put_values(self.net, self.best)
        elif self.means is not None:
            self.means.give_to_network()
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
        catch_up_decay(self.trainer)
        with self._judged_values():
            self._judge()
        state.epoch, state.batch, state.examples, state.loss_sum = state.epoch + 1, 0, 0, 0.0
        state.finished = state.epoch == self.options.epochs or self._out_of_patience()
        self._save()

    def _segment(self, batches: Iterator[Batch]) -> int:
        """Train up to the next checkpoint; the number of batches it took."""
        state, first = self.state, self.state.batch
        mx.random.seed(_segment_seed(self.options, state.epoch, state.batch))
        running: list[Tensor] = []
        for batch in islice(batches, self.options.checkpoint_every):
            losses = self._step(*batch)
            self._add_losses(running)  # of the step before: this step is already being computed
            running = losses
            state.batch += 1
            state.examples += round(examples_of(*batch))
        self._add_losses(running)
        if state.batch > first:
            self._report()
        return state.batch - first

    def _step(
        self, ids: NDArray[np.int32], label: NDArray[np.float32], weight: NDArray[np.float32] | None = None
    ) -> list[Tensor]:
        state = self.state
        self.trainer.set_learning_rate(learning_rate(self.options, state.history, state.batch, self.batch_count))
        losses = self.step(ids, label, weight)
        if self.means is not None:
            self.means.add(steps_of(state.history) + state.batch + 1)
        return losses

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

    def _judged_values(self) -> AbstractContextManager[None]:
        """While an epoch is judged, the network has the values that would be kept of it."""
        return nullcontext() if self.means is None else self.means.in_network()

    def _judge(self) -> None:
        """Record the epoch, and keep its parameters if it is the best so far."""
        state = self.state
        check_finite(self.net, f"in epoch {state.epoch}")
        value = None if self.validate is None else float(self.validate(self.net))
        if value is not None and not math.isfinite(value):
            raise PnnError(f"validation of epoch {state.epoch} gave {value}, expected a finite number")
        mean = state.loss_sum / state.examples
        state.history.append(EpochRecord(state.epoch, state.batch, state.examples, mean, value))
        if value is None or not is_best(state.history):
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


def _segment_seed(options: TrainingOptions, epoch: int, batch: int) -> int:
    """Seed of the random numbers between two checkpoints."""
    key = (options.seed, epoch, batch // options.checkpoint_every)
    return int(np.random.SeedSequence(key).generate_state(1)[0] >> 1)
