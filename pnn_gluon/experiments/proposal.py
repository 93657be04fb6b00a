"""What to try next, by Optuna: a tree-structured Parzen estimator (Bergstra et al. 2011) and the median pruner."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from pnn_gluon.experiments.search_space import Choices, Range
from pnn_gluon.experiments.trials import Trial

RANDOM_TRIALS = 10
"""Trials drawn at random before the estimator learns from the others."""

UNPRUNED_TRIALS = 5
"""Complete trials before one is pruned."""


@dataclass(frozen=True)
class Proposal:
    """Options to try.

    Attributes:
        options: `table.key` to value.
        trial: Optuna's.
    """

    options: dict[str, Any]
    trial: optuna.Trial

    def hopeless(self, epoch: int, value: float) -> bool:
        """Whether the best value so far is worse than the median of earlier trials after as many epochs (from 0)."""
        self.trial.report(value, epoch)
        return self.trial.should_prune()


def propose(
    space: Mapping[str, Range | Choices],
    trials: Sequence[Trial],
    *,
    maximize: bool,
    seed: int,
    unpruned_epochs: int,
) -> Proposal:
    """The options of the next trial, and a judge of its epochs: the same for the same arguments.

    Args:
        space: What each option may be.
        trials: All trials so far, of this space.
        maximize: Whether a larger value is better.
        seed: Decides what is drawn.
        unpruned_epochs: Epochs before a trial can be hopeless.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    drawn = np.random.SeedSequence((seed, len(trials))).generate_state(1)[0]
    study = optuna.create_study(
        direction="maximize" if maximize else "minimize",
        sampler=optuna.samplers.TPESampler(n_startup_trials=RANDOM_TRIALS, seed=int(drawn)),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS, n_warmup_steps=unpruned_epochs),
    )
    study.add_trials([_past(trial, space) for trial in trials])
    asked = study.ask({key: distribution(searched) for key, searched in space.items()})
    return Proposal({key: decode(space[key], asked.params[key]) for key in space}, asked)


def distribution(searched: Range | Choices) -> BaseDistribution:
    """A range or choices in Optuna's terms; choices become their JSON, for lists are no choices to it."""
    if not isinstance(searched, Range):
        return CategoricalDistribution([encode(searched, choice) for choice in searched])
    if searched.whole:
        return IntDistribution(int(searched.low), int(searched.high), searched.log, int(searched.step or 1))
    return FloatDistribution(searched.low, searched.high, searched.log, searched.step)


def encode(searched: Range | Choices, value: Any) -> CategoricalChoiceType:
    """A value of an option in Optuna's terms."""
    encoded: CategoricalChoiceType = value if isinstance(searched, Range) else json.dumps(value)
    return encoded


def decode(searched: Range | Choices, value: Any) -> Any:
    """A value of an option from Optuna's terms."""
    return value if isinstance(searched, Range) else json.loads(value)


_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def _past(trial: Trial, space: Mapping[str, Range | Choices]) -> FrozenTrial:
    """A trial that ended, in Optuna's terms."""
    return create_trial(
        state=_STATES[trial.state],
        value=trial.value,
        params={key: encode(searched, trial.options[key]) for key, searched in space.items()},
        distributions={key: distribution(searched) for key, searched in space.items()},
        intermediate_values=dict(enumerate(trial.validations)),
    )
