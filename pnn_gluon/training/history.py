"""The epochs of a run that are done, and which of them is the best."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

FEW_STEPS = 200
"""Fewer updates than this can hardly move a network from where it starts."""


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch gave: mean loss of its examples while training, and the value of `validate` after it."""

    epoch: int
    steps: int
    examples: int
    loss: float
    validation: float | None


def as_mappings(history: Sequence[Any]) -> list[Mapping[str, Any]]:
    """The epochs of a run as plain values, whatever form they have: records, mappings, or a number for each tree."""
    return [_as_mapping(at, each) for at, each in enumerate(history)]


def _as_mapping(at: int, each: Any) -> Mapping[str, Any]:
    if isinstance(each, Mapping):
        return each
    return asdict(each) if isinstance(each, EpochRecord) else {"epoch": at, "loss": None, "validation": float(each)}


def steps_of(history: Sequence[EpochRecord]) -> int:
    """Updates made in these epochs."""
    return sum(record.steps for record in history)


def few_steps(steps: int) -> str | None:
    """What to say of a run of so few updates; None if there are enough."""
    if steps >= FEW_STEPS:
        return None
    return f"only {steps} steps: lower training.batch_size or raise epochs to learn more"


def is_best(history: Sequence[EpochRecord]) -> bool:
    """Whether the last epoch is better than every one before; of equal ones the first counts."""
    values = [record.validation for record in history if record.validation is not None]
    return all(values[-1] < value for value in values[:-1])
