"""What training in paper mode gives, whatever the family of the model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pnn_gluon.experiments.run import Outputs
from pnn_gluon.experiments.scores import Measures

Watch = Callable[[Measures], None]
"""Gets the validation metrics of each epoch; what it raises ends the training."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A model that was trained and chosen by validation.

    Attributes:
        model: With the parameters of its best epoch; what `Family.save` of its family takes.
        outputs: Of ids.
        epochs: Trained; of boosted trees, trees.
        best_epoch: The one that counts, from 1.
        seconds: Spent on training, without pre-training, validation and reading data.
        parameters: Numbers that training changes.
        history: How it went, see `pnn_gluon.training.history`.
    """

    model: Any
    outputs: Outputs
    epochs: int
    best_epoch: int
    seconds: float
    parameters: int
    history: Sequence[Mapping[str, Any]]
