"""Training gradient boosted trees in paper mode."""

import time

from pnn_gluon.experiments.config import Plan
from pnn_gluon.experiments.dataset import Dataset
from pnn_gluon.experiments.judge import Judge, shown
from pnn_gluon.experiments.run_log import RunLog
from pnn_gluon.experiments.scores import Measures
from pnn_gluon.experiments.trained import Trained, Watch


def train_trees(plan: Plan, data: Dataset, seed: int, log: RunLog, watch: Watch) -> Trained:
    """See `pnn_gluon.experiments.fit.train_model`: an epoch is a tree, the seed decides the draws of `subsample`."""
    from pnn_gluon.models.gbdt import GBDTOptions
    from pnn_gluon.training.gbdt import REPORT_EVERY, Validation, in_memory, train_gbdt
    from pnn_gluon.training.history import as_mappings

    trees: list[str] = []

    def tell(metrics: Measures) -> None:
        trees.append(f"tree {len(trees) + 1}: validation {shown(metrics)}")
        if len(trees) % REPORT_EVERY == 0:
            log.tell(trees[-1])
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
        history=as_mappings(fitted.history),
    )
