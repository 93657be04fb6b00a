"""Validation while a model is trained: the value that early stopping looks at, and the time it took."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.errors import InputError
from pnn_gluon.experiments.scores import Loss, Measures, measure
from pnn_gluon.experiments.training_table import Metric


@dataclass
class Judge:
    """Judges outputs on the validation rows.

    Attributes:
        label: Labels 0 or 1 of the validation rows (rows,).
        loss: What training minimizes.
        metric: What decides.
        report: Gets the metrics each time.
        seconds: Time spent so far.
    """

    label: NDArray[np.float32]
    loss: Loss
    metric: Metric
    report: Callable[[Measures], None]
    seconds: float = 0.0

    def value(self, outputs: Callable[[], NDArray[np.float32]]) -> float:
        """The metric of the outputs (rows,), negative if larger is better: the lower the better.

        Raises:
            InputError: rows of one class leave it undefined.
        """
        start = time.perf_counter()
        metrics = measure(self.label, outputs(), self.loss)
        self.report(metrics)
        self.seconds += time.perf_counter() - start
        value = metrics[self.metric]
        if value is None:
            raise InputError(f"validation: {self.metric} is not defined on {len(self.label)} rows of one class")
        return -value if self.metric == "auc" else value


def shown(metrics: Measures) -> str:
    """Metrics as text for a line of progress, those that are defined."""
    return ", ".join(f"{name} {value:.5f}" for name, value in metrics.items() if value is not None)
