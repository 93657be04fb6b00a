"""Search for options that validate best, over a declared space; every trial is kept, and a search goes on later.

Test rows are never looked at: a trial's value is the validation metric of its best epoch.
"""

import dataclasses
import logging
import math
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnn_gluon.errors import ConfigError, PnnError
from pnn_gluon.experiments.classes import check_classes
from pnn_gluon.experiments.config import FitConfig, Plan
from pnn_gluon.experiments.dataset import Dataset
from pnn_gluon.experiments.scores import Measures
from pnn_gluon.experiments.search_space import Choices, Range
from pnn_gluon.experiments.trials import Journal, State, Trial, shown_options
from pnn_gluon.file_lock import file_lock
from pnn_gluon.training.families import family_of

if TYPE_CHECKING:
    from pnn_gluon.experiments.proposal import Proposal

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a trial may begin: one that ended its process so often has failed."""


class _Hopeless(Exception):
    """Ends the training of a trial that is to be pruned."""


@dataclass(frozen=True, eq=False)
class Search:
    """What is searched.

    Attributes:
        config: With a table `[tune]`.
        model: Name of the model.
        data: Its train and validation rows count.
        seed: Of every trial's training, and of the proposals.

    Raises:
        ConfigError: no space is declared, or none of it is of this model.
        InputError: rows of one class, see `check_classes`.
    """

    config: FitConfig
    model: str
    data: Dataset
    seed: int

    def __post_init__(self) -> None:
        path, tune = self.config.path, self.config.tune
        self.config.plan(self.model)
        if tune is None:
            raise ConfigError(f"{path}: tune: required but missing; declare what to search over in [tune.space]")
        if not tune.space_of(self.model):
            raise ConfigError(f"{path}: tune.space: {self.model} takes none of these options, so there is no search")
        check_classes(self.data, self.base.metric)

    @cached_property
    def space(self) -> dict[str, Range | Choices]:
        """The declared options that the model takes."""
        return self.config.tune.space_of(self.model) if self.config.tune else {}

    @cached_property
    def base(self) -> Plan:
        """The model without the options of a trial."""
        return self.config.plan(self.model)

    @property
    def prune(self) -> bool:
        """Whether hopeless trials are stopped early."""
        return self.config.tune is not None and self.config.tune.prune

    @property
    def maximize(self) -> bool:
        """Whether a larger value is better."""
        return self.base.metric == "auc"

    def summary(self) -> dict[str, Any]:
        """All that decides the trials, fit for JSON; options that are searched over count by their space alone."""
        tables = self.base.summary()
        fixed = {f"{table}.{key}": value for table, options in tables.items() for key, value in options.items()}
        return {
            "model": self.model,
            "metric": self.base.metric,
            "seed": self.seed,
            "prune": self.prune,
            "space": {
                key: searched.model_dump() if isinstance(searched, Range) else list(searched)
                for key, searched in self.space.items()
            },
            "fixed": {key: value for key, value in fixed.items() if key not in self.space},
            "rows": {"train": self.data.train.fingerprint, "valid": self.data.valid.fingerprint},
        }


def search(what: Search, journal: Path, trials: int) -> Journal:
    """Bring a search to `trials` trials in all, from as many as its journal holds.

    A trial that was interrupted or whose process was killed begins again, with the same number and options, so that
    the search makes the trials of one that was not. One that was begun `ATTEMPTS` times and each time ended with its
    process has failed; being interrupted (KeyboardInterrupt, SystemExit) does not count.

    Args:
        what: What is searched.
        journal: File of the trials, made if missing.
        trials: How many there shall be.

    Raises:
        ConfigError: the journal is of another search, or another process searches with it.
        InputError: the journal is damaged.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file_lock(journal, wait=False):
            kept = Journal.open(journal, what.summary())
            log.info("tune %s: %s holds %d of %d trials", what.model, journal, len(kept.trials), trials)
            while len(kept.trials) < trials:
                trial = _next(what, kept)
                kept.end(trial)
                options = shown_options(trial.options)
                log.info("tune %s: trial %d: %s (%s)", what.model, trial.number, _outcome(trial), options)
            return kept
    except BlockingIOError as error:
        raise ConfigError(f"{journal}: another process searches with this journal; wait, or take another") from error


def _next(what: Search, journal: Journal) -> Trial:
    """Propose options and try them, unless it is known what they give."""
    from pnn_gluon.experiments.proposal import propose

    number = len(journal.trials)
    proposal = propose(
        what.space,
        journal.trials,
        maximize=what.maximize,
        seed=what.seed,
        unpruned_epochs=family_of(what.model).unpruned_epochs,
    )
    same = [each for each in journal.trials if each.options == proposal.options and each.state != "pruned"]
    if same:
        return dataclasses.replace(same[0], number=number, seconds=0.0)
    if journal.begun >= ATTEMPTS:
        reason = f"began {journal.begun} times, and each time its process ended before it did"
        return Trial(number, "failed", proposal.options, None, (), 0.0, reason)
    journal.begin(proposal.options)
    try:
        return _try(what, number, proposal)
    except (KeyboardInterrupt, SystemExit):
        journal.interrupt()
        raise


def _try(what: Search, number: int, proposal: "Proposal") -> Trial:
    """Train with the proposed options and validate."""
    from pnn_gluon.experiments.fit import train_model

    values: list[float] = []

    def watch(metrics: Measures) -> None:
        value = metrics[what.base.metric]
        if value is None or not math.isfinite(value):
            return  # training refuses it and says why
        values.append(value)
        if what.prune and proposal.hopeless(len(values) - 1, value):
            raise _Hopeless

    def ended(state: State, reason: str | None = None) -> Trial:
        seconds = round(time.perf_counter() - start, 3)
        value = (max if what.maximize else min)(values) if state == "complete" else None
        return Trial(number, state, proposal.options, value, tuple(values), seconds, reason)

    start = time.perf_counter()
    try:
        train_model(what.config.plan(what.model, proposal.options), what.data, what.seed, watch, logging.DEBUG)
    except _Hopeless:
        return ended("pruned", f"worse than the median of the earlier trials after {len(values)} epochs")
    except (PnnError, MemoryError) as error:
        return ended("failed", f"{error}" or "out of memory")
    return ended("complete")


def _outcome(trial: Trial) -> str:
    return f"{trial.value:.5f}" if trial.value is not None else f"{trial.state}: {trial.reason}"
