"""Training in one process, on one or several of its devices."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from pnn_gluon.arrays import Batch
from pnn_gluon.runtime import HybridBlock, Tensor, mx
from pnn_gluon.training.adamw import catch_up_decay
from pnn_gluon.training.averaging import MeanWeights
from pnn_gluon.training.carried_states import CarriedStates, states_of
from pnn_gluon.training.checkpoint import Checkpoints, RunState
from pnn_gluon.training.parameters import Values, check_finite, put_values, take_values, values_of
from pnn_gluon.training.step import TrainingStep


class OneProcess:
    """The network, its trainer and its checkpoints, as the training loop uses them; see `loop.Place`.

    Args:
        net: Initialized network.
        trainer: Trainer of its parameters.
        step: Takes a batch.
        means: The means of the parameters, where they are what counts.
        validate: Value of the network; None without validation.
        checkpoints: Where they are kept; None for nowhere.
        carried: The optimizer's states to begin with and to leave; None to do neither.
    """

    def __init__(
        self,
        net: HybridBlock,
        trainer: Any,
        step: TrainingStep,
        means: MeanWeights | None,
        validate: Callable[[HybridBlock], float] | None,
        checkpoints: Checkpoints | None,
        carried: CarriedStates | None = None,
    ) -> None:
        self._net, self._trainer, self._step = net, trainer, step
        self._means, self._validate, self._checkpoints = means, validate, checkpoints
        self._carried = carried
        self._best: Values | None = None
        self._best_states: Values = {}

    def load(self, fingerprint: str) -> RunState | None:
        """See `loop.Place`."""
        checkpoints = self._checkpoints
        state = None if checkpoints is None else checkpoints.load(self._net, self._trainer, fingerprint)
        if self._carried is not None and state is None:
            self._carried.give(self._net, self._trainer)
        return state

    def seed(self, number: int) -> None:
        """See `loop.Place`."""
        mx.random.seed(number)

    def step(self, batch: Batch, rate: float, number: int) -> list[Tensor]:
        """See `loop.Place`."""
        self._trainer.set_learning_rate(rate)
        losses = self._step(*batch)
        if self._means is not None:
            self._means.add(number)
        return losses

    def gathered(self, loss: float, examples: int) -> tuple[float, int]:
        """See `loop.Place`: this process has it all."""
        return loss, examples

    def end_epoch(self) -> None:
        """See `loop.Place`."""
        catch_up_decay(self._trainer)

    def judge(self, where: str) -> float | None:
        """See `loop.Place`."""
        with self._judged_values():
            check_finite(self._net, where)
            return None if self._validate is None else float(self._validate(self._net))

    def _judged_values(self) -> AbstractContextManager[None]:
        """While an epoch is judged, the network has the values that would be kept of it."""
        return nullcontext() if self._means is None else self._means.in_network()

    def keep_best(self, epoch: int) -> None:
        """See `loop.Place`: on disk where there are checkpoints, else in memory."""
        states = states_of(self._net, self._trainer) if self._carried else None
        with self._judged_values():
            if self._checkpoints is not None:
                self._checkpoints.save_best(epoch, values_of(self._net), states)
            else:
                self._best = take_values(self._net)
                self._best_states = {name: value.copy() for name, value in (states or {}).items()}

    def save(self, state: RunState, where: str) -> None:
        """See `loop.Place`."""
        if self._checkpoints is not None:
            check_finite(self._net, where)
            self._checkpoints.save(self._net, self._trainer, state)

    def finish(self, best_epoch: int | None) -> None:
        """See `loop.Place`."""
        if self._carried is not None:
            self._carried.write(self._states_kept(best_epoch))
        self._trainer._updaters.clear()  # the optimizer's states, which would stay: parameters know their trainer
        if best_epoch is None:
            if self._means is not None:
                self._means.give_to_network()
        elif self._checkpoints is not None:
            self._checkpoints.put_best(self._net, best_epoch)
        elif self._best is not None:
            put_values(self._net, self._best)

    def _states_kept(self, best_epoch: int | None) -> Values | Path:
        """The optimizer's states after the epoch whose parameters are kept."""
        if best_epoch is None:
            return states_of(self._net, self._trainer)
        return self._best_states if self._checkpoints is None else self._checkpoints.best_states(best_epoch)
