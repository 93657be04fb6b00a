"""Parts whose rows are all of one class: what can not be done with them, said before anything is trained."""

import numpy as np

from pnn_gluon.errors import InputError
from pnn_gluon.experiments.dataset import Dataset, Examples
from pnn_gluon.experiments.training_table import Metric


def check_classes(data: Dataset, metric: Metric) -> None:
    """Refuse rows that nothing can be learnt from, or that early stopping can not judge by.

    Raises:
        InputError: train has one class, or validation has and its AUC is to decide.
    """
    if (label := _only_label(data.train)) is not None:
        raise InputError(
            f"data: all {len(data.train.label):,} train rows have the label {label}: there is nothing to learn; "
            "train needs rows of both classes"
        )
    if metric == "auc" and (label := _only_label(data.valid)) is not None:
        raise InputError(
            f"data: all {len(data.valid.label):,} validation rows have the label {label}: they have no AUC to stop by; "
            'set training.metric = "log_loss" ("rmse" with squared loss), or take validation rows of both classes'
        )


def undefined_metrics(data: Dataset) -> list[str]:
    """For validation and test rows of one class what will be null."""
    parts = {"validation": data.valid, "test": data.test}
    labels = {name: label for name, part in parts.items() if (label := _only_label(part)) is not None}
    return [f"all {name} rows have the label {label}: their AUC is null" for name, label in labels.items()]


def _only_label(part: Examples) -> int | None:
    """The one label of all rows; None if there are both."""
    return int(part.label[0]) if np.ptp(part.label) == 0 else None
