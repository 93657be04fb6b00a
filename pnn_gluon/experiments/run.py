"""What one seed of one model gave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Floats
from pnn_gluon.experiments.dataset import Dataset
from pnn_gluon.experiments.scores import Loss, Measures, measure, probabilities

Outputs = Callable[[NDArray[np.int32]], NDArray[np.float32]]
"""Outputs (rows,) of ids int32 (rows, S): logits, or with squared loss what is near a label of -1 or 1."""


@dataclass(frozen=True, eq=False)
class Run:
    """What one seed gave.

    Attributes:
        seed: Decides starting values, the order of the rows, dropout.
        test: Metrics on the test rows, after the best epoch.
        valid: The same on the validation rows.
        epochs: Epochs trained; of boosted trees, trees.
        best_epoch: The one that counts, from 1.
        seconds: Spent on training, without pre-training, validation and reading data.
        parameters: Numbers that training changes.
        probability: Of each test row, float64 (rows,).
        output: The model's for each test row, float32 (rows,): the logit, for log loss.
        history: How training went, see `pnn_gluon.training.history`.
    """

    seed: int
    test: Measures
    valid: Measures
    epochs: int
    best_epoch: int
    seconds: float
    parameters: int
    probability: Floats
    output: NDArray[np.float32]
    history: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def measured(cls, outputs: Outputs, data: Dataset, loss: Loss, **about: Any) -> "Run":
        """The run of a trained model: its metrics on validation and test rows, and what else there is to say."""
        test = outputs(data.test.ids)
        return cls(
            test=measure(data.test.label, test, loss),
            valid=measure(data.valid.label, outputs(data.valid.ids), loss),
            probability=probabilities(test, loss),
            output=test,
            **about,
        )

    @property
    def scores_are_equal(self) -> bool:
        """Whether all test rows have one score, so that no row stands before another."""
        return len(self.output) > 1 and bool(np.ptp(self.output) == 0)

    def summary(self) -> dict[str, Any]:
        """The numbers by name, fit for JSON; those of validation begin with `valid_`."""
        return {
            "seed": self.seed,
            **self.test,
            **{f"valid_{name}": value for name, value in self.valid.items()},
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "seconds": round(self.seconds, 3),
            "seconds_per_epoch": round(self.seconds / self.epochs, 3),
        }
