"""Search for options that validate best, over a declared space; every trial is kept, and a search goes on later.

Optuna proposes (tree-structured Parzen estimator, Bergstra et al. 2011) and keeps the trials in a journal, a file of
JSON lines. Test rows are never looked at: a trial's value is the validation metric of its best epoch.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnn_gluon.errors import ConfigError, PnnError
from pnn_gluon.experiments.config import FitConfig, load_fit_config
from pnn_gluon.experiments.dataset import Dataset
from pnn_gluon.experiments.search_space import Choices, Range
from pnn_gluon.file_lock import file_lock

if TYPE_CHECKING:
    from optuna import Study, Trial

Report = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """The best trial so far.

    Attributes:
        study: Name of the search: the model and what was not searched.
        trials: Trials in all, of which `failed` gave no value.
        failed: See above.
        number: The best trial's number.
        value: Its validation metric.
        options: Its options, `table.key` to value.
    """

    study: str
    trials: int
    failed: int
    number: int
    value: float
    options: dict[str, Any]


def search(
    config: Path,
    model: str,
    data: Callable[[FitConfig], Dataset],
    journal: Path,
    trials: int,
    seed: int,
    report: Report,
) -> Found:
    """Bring a search to `trials` trials in all, from as many as its journal holds.

    Args:
        config: A file of paper mode with a table `[tune]`.
        model: Name of the model.
        data: Reads the rows of a configuration.
        journal: File of the trials, made if missing; other searches may be in it.
        trials: How many there shall be.
        seed: Of every trial's training, and of the proposals.
        report: Takes lines of progress.

    Raises:
        ConfigError: no space is declared, or another process searches with this journal.
        PnnError: no trial gave a value.
    """
    base = load_fit_config(config, model)
    space = _space(base, model)
    rows = data(base)
    journal.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file_lock(journal.with_suffix(".lock"), wait=False):
            study = _study(journal, f"{base.name}-{model}-{base.fingerprint(model)[:12]}", base.plan(model).metric)
            _close_broken(study)
            for _ in range(trials - len(study.trials)):
                _try(study, base, model, space, rows, seed, report)
            return _found(study)
    except BlockingIOError as error:
        raise ConfigError(f"{journal}: another process searches with this journal; wait, or take another") from error


def _space(config: FitConfig, model: str) -> Mapping[str, Range | Choices]:
    """The declared options that the model takes."""
    if config.tune is None:
        raise ConfigError(f"{config.path}: tune: required but missing; declare what to search over")
    return config.tune.space_of(model)


def _study(journal: Path, name: str, metric: str) -> "Study":
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        study_name=name,
        storage=JournalStorage(JournalFileBackend(str(journal))),
        direction="maximize" if metric == "auc" else "minimize",
        load_if_exists=True,
    )


def _close_broken(study: "Study") -> None:
    """Mark trials that a killed process left open as failed; they count."""
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)


def _try(
    study: "Study",
    config: FitConfig,
    model: str,
    space: Mapping[str, Range | Choices],
    rows: Dataset,
    seed: int,
    report: Report,
) -> None:
    """One trial. Its proposal depends on the seed and the trials before it, also after a restart."""
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    from pnn_gluon.experiments.fit import fit

    study.sampler = TPESampler(seed=(seed * 1_000_003 + len(study.trials)) % 2**31, n_startup_trials=_RANDOM_TRIALS)
    trial = study.ask()
    options = {key: _suggested(trial, key, each) for key, each in space.items()}
    try:
        plan = load_fit_config(config.path, model, [f"{k}={json.dumps(v)}" for k, v in options.items()]).plan(model)
        value = fit(plan, rows, seed, lambda text: None)[0].valid[plan.metric]
    except PnnError as error:
        trial.set_user_attr("error", str(error))
        study.tell(trial, state=TrialState.FAIL)
        report(f"tune {model}: trial {trial.number} failed: {error}")
        return
    study.tell(trial, value)
    shown = ", ".join(f"{key} {option}" for key, option in options.items())
    report(f"tune {model}: trial {trial.number}: {plan.metric} {value:.5f} ({shown})")


def _suggested(trial: "Trial", key: str, each: Range | Choices) -> Any:
    """A value of an option; choices are kept as JSON, for they may be lists."""
    if isinstance(each, Choices):
        return json.loads(trial.suggest_categorical(key, [json.dumps(choice) for choice in each.choices]))
    if each.whole:
        return trial.suggest_int(key, int(each.low), int(each.high), step=int(each.step or 1), log=each.log)
    return trial.suggest_float(key, each.low, each.high, step=each.step, log=each.log)


_RANDOM_TRIALS = 10
"""Trials drawn at random before the sampler learns from them."""


def _found(study: "Study") -> Found:
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not done:
        reasons = {str(trial.user_attrs.get("error", "stopped")) for trial in study.trials}
        raise PnnError(f"search {study.study_name}: none of {len(study.trials)} trials gave a value: {reasons}")
    best = study.best_trial
    options = {key: _decoded(value) for key, value in best.params.items()}
    failed = len(study.trials) - len(done)
    return Found(study.study_name, len(study.trials), failed, best.number, study.best_value, options)


def _decoded(value: Any) -> Any:
    """A choice is kept as JSON, a number as itself."""
    return json.loads(value) if isinstance(value, str) else value
