"""One run of paper mode: train on train, stop by validation, measure on test."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pnn_gluon.experiments.classes import check_classes
from pnn_gluon.experiments.config import Plan
from pnn_gluon.experiments.dataset import Dataset
from pnn_gluon.experiments.judge import Judge, shown
from pnn_gluon.experiments.run import Outputs, Report, Run
from pnn_gluon.experiments.scores import Measures
from pnn_gluon.training.options import GBDT_NAME

if TYPE_CHECKING:
    from pnn_gluon.data.unseen import Unseen
    from pnn_gluon.experiments.batches import MemoryBatches
    from pnn_gluon.models.gbdt import GBDT
    from pnn_gluon.runtime import HybridBlock
    from pnn_gluon.training.options import TrainingOptions

Watch = Callable[[Measures], None]
"""Gets the validation metrics of each epoch; what it raises ends the training."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A model that was trained and chosen by validation.

    Attributes:
        model: With the parameters of its best epoch.
        outputs: Of ids.
        epochs: Trained; trees of gbdt.
        best_epoch: The one that counts, from 1.
        seconds: Spent on training, without pre-training, validation and reading data.
        parameters: Numbers that training changes.
    """

    model: "HybridBlock | GBDT"
    outputs: Outputs
    epochs: int
    best_epoch: int
    seconds: float
    parameters: int


def fit(plan: Plan, data: Dataset, seed: int, report: Report) -> "tuple[Run, HybridBlock | GBDT]":
    """Fit one model; equal arguments and thread count give equal parameters.

    Test rows are looked at once, after training.

    Args:
        plan: The model and how to train it.
        data: The rows.
        seed: Decides starting values, the order of the rows, dropout.
        report: Takes lines of progress.

    Returns:
        The numbers, and the model with the parameters of its best epoch.

    Raises:
        ConfigError: options that do not go together, or that do not fit the fields.
        InputError: rows of one class, see `check_classes`.
        PnnError: training diverged.
    """
    trained = train_model(plan, data, seed, report)
    run = Run.measured(
        trained.outputs,
        data,
        plan.training.loss,
        seed=seed,
        epochs=trained.epochs,
        best_epoch=trained.best_epoch,
        seconds=trained.seconds,
        parameters=trained.parameters,
    )
    if run.scores_are_equal:
        report(f"all {len(run.output):,} test rows have one score: the model tells no row from another")
    return run, trained.model


def train_model(plan: Plan, data: Dataset, seed: int, report: Report, watch: Watch = lambda metrics: None) -> Trained:
    """The part of `fit` that sees train and validation rows only.

    Args:
        plan: As for `fit`.
        data: As for `fit`; its test rows are not looked at.
        seed: As for `fit`.
        report: As for `fit`.
        watch: Called after each epoch.

    Raises:
        ConfigError: as `fit`.
        InputError: as `fit`.
        PnnError: as `fit`.
    """
    check_classes(data, plan.metric)
    return (_train_gbdt if plan.model.name == GBDT_NAME else _train_network)(plan, data, seed, report, watch)


def _train_network(plan: Plan, data: Dataset, seed: int, report: Report, watch: Watch) -> Trained:
    from pnn_gluon.experiments.batches import MemoryBatches
    from pnn_gluon.experiments.parameter_counts import count_network
    from pnn_gluon.models.registry import create_model
    from pnn_gluon.training.export import predict_logits
    from pnn_gluon.training.history import few_steps
    from pnn_gluon.training.loop import Progress, train

    options = plan.training.replaced(seed=seed)
    net = create_model(plan.model.name, data.layout, data.size, **plan.model.options_for(data.feature_map.vocabulary))
    batches = MemoryBatches(data.train, plan.batch_size, seed, _unseen(data, plan.unseen_share, seed))
    if plan.pretrain_epochs:
        _pretrain(net, plan, data, batches, options, report)
    latest: list[Progress] = []

    def tell(metrics: Measures) -> None:
        report(f"epoch {latest[-1].epoch + 1}: loss {latest[-1].loss:.5f}; validation {shown(metrics)}")
        watch(metrics)

    judge = Judge(data.valid.label, options.loss, plan.metric, tell)

    def validate(net: "HybridBlock") -> float:
        return judge.value(lambda: predict_logits(net, data.valid.ids))

    start = time.perf_counter()
    result = train(net, batches, options, validate=validate, progress=latest.append)
    if few := few_steps(result.steps):
        report(few)
    return Trained(
        model=net,
        outputs=lambda ids: predict_logits(net, ids),
        epochs=len(result.history),
        best_epoch=result.best_epoch + 1,
        seconds=time.perf_counter() - start - judge.seconds,
        parameters=count_network(net).total,
    )


def _unseen(data: Dataset, share: float, seed: int) -> "Unseen | None":
    """What hides some fields of the train rows, so that *other* and *missing* are trained."""
    from pnn_gluon.data.unseen import Unseen

    if not share:
        return None
    counts = np.bincount(data.train.ids.ravel(), minlength=data.size)
    return Unseen.of_map(data.feature_map, counts, len(data.train.label), share=share, seed=seed)


def _pretrain(
    net: "HybridBlock",
    plan: Plan,
    data: Dataset,
    batches: "MemoryBatches",
    options: "TrainingOptions",
    report: Report,
) -> None:
    """Let the network start from the tables of an FM with its embedding options, trained on the same rows."""
    from pnn_gluon.training.pretraining import matching_fm, pretrain

    pretrain(
        net,
        matching_fm(plan.model.name, data.layout, data.size, plan.model.options),
        batches,
        options,
        plan.pretrain_epochs,
        progress=lambda progress: report(f"pre-training epoch {progress.epoch + 1}: loss {progress.loss:.5f}"),
    )


def _train_gbdt(plan: Plan, data: Dataset, seed: int, report: Report, watch: Watch) -> Trained:
    """Gradient boosted trees: an epoch is a tree, the seed decides the draws of `subsample`."""
    from pnn_gluon.models.gbdt import GBDTOptions
    from pnn_gluon.training.gbdt import REPORT_EVERY, Validation, in_memory, train_gbdt

    trees: list[str] = []

    def tell(metrics: Measures) -> None:
        trees.append(f"tree {len(trees) + 1}: validation {shown(metrics)}")
        if len(trees) % REPORT_EVERY == 0:
            report(trees[-1])
        watch(metrics)

    judge = Judge(data.valid.label, "log", plan.metric, tell)
    start = time.perf_counter()
    fitted = train_gbdt(
        data.layout,
        data.size,
        in_memory(data.train.ids, data.train.label),
        GBDTOptions(**plan.model.options),
        validation=Validation(
            in_memory(data.valid.ids, data.valid.label),
            lambda _, logits: judge.value(lambda: logits),
            plan.training.patience,
        ),
        seed=seed,
    )
    return Trained(
        model=fitted.model,
        outputs=fitted.model.logits,
        epochs=len(fitted.history),
        best_epoch=fitted.model.trees,
        seconds=time.perf_counter() - start - judge.seconds,
        parameters=fitted.model.parameters,
    )
