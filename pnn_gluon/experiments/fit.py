"""One run of paper mode: train on train, stop by validation, measure on test."""

import logging
from collections.abc import Callable
from typing import Any

from pnn_gluon.experiments.classes import check_classes
from pnn_gluon.experiments.config import Plan
from pnn_gluon.experiments.dataset import Dataset
from pnn_gluon.experiments.fit_network import train_network
from pnn_gluon.experiments.fit_trees import train_trees
from pnn_gluon.experiments.run import Run
from pnn_gluon.experiments.run_log import RunLog
from pnn_gluon.experiments.trained import Trained, Watch
from pnn_gluon.models.declared import declared

FITS: dict[str, Callable[[Plan, Dataset, int, RunLog, Watch], Trained]] = {
    "network": train_network,
    "trees": train_trees,
}
"""What trains the models of each family here."""


def fit(plan: Plan, data: Dataset, seed: int) -> tuple[Run, Any]:
    """Fit one model; equal arguments and thread count give equal parameters.

    Test rows are looked at once, after training.

    Args:
        plan: The model and how to train it.
        data: The rows.
        seed: Decides starting values, the order of the rows, dropout.

    Returns:
        The numbers, and the model with the parameters of its best epoch, as `Trained` has it.

    Raises:
        ConfigError: options that do not go together, or that do not fit the fields.
        InputError: rows of one class, see `check_classes`.
        PnnError: training diverged.
    """
    trained = train_model(plan, data, seed)
    run = Run.measured(
        trained.outputs,
        data,
        plan.training.loss,
        seed=seed,
        epochs=trained.epochs,
        best_epoch=trained.best_epoch,
        seconds=trained.seconds,
        parameters=trained.parameters,
        history=trained.history,
    )
    if run.scores_are_equal:
        one_score = f"all {len(run.output):,} test rows have one score: the model tells no row from another"
        RunLog(plan.model.name, seed).tell(one_score)
    return run, trained.model


def train_model(
    plan: Plan, data: Dataset, seed: int, watch: Watch = lambda metrics: None, level: int = logging.INFO
) -> Trained:
    """The part of `fit` that sees train and validation rows only.

    Args:
        plan: As for `fit`.
        data: As for `fit`; its test rows are not looked at.
        seed: As for `fit`.
        watch: Called after each epoch.
        level: Of the lines of progress in the log.

    Raises:
        ConfigError: as `fit`.
        InputError: as `fit`.
        PnnError: as `fit`.
    """
    check_classes(data, plan.metric)
    run_log = RunLog(plan.model.name, seed, level)
    return FITS[declared(plan.model.name).family](plan, data, seed, run_log, watch)
