"""Training a network in paper mode."""

import time
from typing import TYPE_CHECKING

import numpy as np

from pnn_gluon.experiments.config import Plan
from pnn_gluon.experiments.dataset import Dataset
from pnn_gluon.experiments.judge import Judge, shown
from pnn_gluon.experiments.run_log import RunLog
from pnn_gluon.experiments.scores import Measures
from pnn_gluon.experiments.trained import Trained, Watch

if TYPE_CHECKING:
    from pnn_gluon.data.unseen import Unseen
    from pnn_gluon.experiments.batches import MemoryBatches
    from pnn_gluon.runtime import HybridBlock
    from pnn_gluon.training.options import TrainingOptions


def train_network(plan: Plan, data: Dataset, seed: int, log: RunLog, watch: Watch) -> Trained:
    """See `pnn_gluon.experiments.fit.train_model`."""
    from pnn_gluon.experiments.batches import MemoryBatches
    from pnn_gluon.experiments.parameter_counts import count_network
    from pnn_gluon.models.registry import create_model
    from pnn_gluon.training.export import predict_logits
    from pnn_gluon.training.history import as_mappings, few_steps
    from pnn_gluon.training.loop import Progress, train

    options = plan.training.replaced(seed=seed)
    net = create_model(plan.model.name, data.layout, data.size, **plan.model.options_for(data.feature_map.vocabulary))
    batches = MemoryBatches(data.train, plan.batch_size, seed, _unseen(data, plan.unseen_share, seed))
    if plan.pretrain_epochs:
        _pretrain(net, plan, data, batches, options, log)
    latest: list[Progress] = []

    def tell(metrics: Measures) -> None:
        log.tell(f"epoch {latest[-1].epoch + 1}: loss {latest[-1].loss:.5f}; validation {shown(metrics)}")
        watch(metrics)

    judge = Judge(data.valid.label, options.loss, plan.metric, tell)

    def validate(net: "HybridBlock") -> float:
        return judge.value(lambda: predict_logits(net, data.valid.ids))

    start = time.perf_counter()
    result = train(net, batches, options, validate=validate, progress=latest.append)
    if few := few_steps(result.steps):
        log.tell(few)
    return Trained(
        model=net,
        outputs=lambda ids: predict_logits(net, ids),
        epochs=len(result.history),
        best_epoch=result.best_epoch + 1,
        seconds=time.perf_counter() - start - judge.seconds,
        parameters=count_network(net).total,
        history=as_mappings(result.history),
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
    log: RunLog,
) -> None:
    """Let the network start from the tables of an FM with its embedding options, trained on the same rows."""
    from pnn_gluon.training.pretraining import matching_fm, pretrain

    pretrain(
        net,
        matching_fm(plan.model.name, data.layout, data.size, plan.model.options),
        batches,
        options,
        plan.pretrain_epochs,
        progress=lambda progress: log.tell(f"pre-training epoch {progress.epoch + 1}: loss {progress.loss:.5f}"),
    )
