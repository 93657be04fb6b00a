"""The steps of a schedule as tasks: what each comes after, and which tasks of the days before it waits for."""

import dataclasses
from collections.abc import Mapping, Sequence

from pnn_gluon.config import Config
from pnn_gluon.pipeline.step import Step


@dataclasses.dataclass(frozen=True)
class Task:
    """A step among the others of its schedule.

    Attributes:
        step: The step.
        after: Names of the steps it comes right after.
        waits: By the name of a step that makes what it reads of earlier days, how many of them it reads. It waits until
            these have ended, well or not: what it then misses it refuses itself.
    """

    step: Step
    after: tuple[str, ...]
    waits: Mapping[str, int]


def tasks(config: Config, steps: Sequence[Step]) -> tuple[Task, ...]:
    """The tasks of these steps, in their order: a step comes after the makers of what it reads of the day."""
    makers = {step.table.name: step.name for step in steps}
    read = {step.name: [edge for edge in step.edges(config) if edge.needed and edge.table in makers] for step in steps}
    above = {name: {makers[edge.table] for edge in edges if not edge.back} for name, edges in read.items()}
    after = _direct(above)
    return tuple(
        Task(
            step,
            tuple(each.name for each in steps if each.name in after[step.name]),
            _waits([(makers[edge.table], edge.back) for edge in read[step.name] if edge.back]),
        )
        for step in steps
    )


def _waits(pairs: Sequence[tuple[str, int]]) -> dict[str, int]:
    """The most days that are read of each maker."""
    return {name: max(days for other, days in pairs if other == name) for name, _ in pairs}


def _everything_above(above: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Of each step all that it comes after, at whatever distance."""
    found: dict[str, set[str]] = {}

    def climb(name: str) -> set[str]:
        if name not in found:
            found[name] = above[name].union(*(climb(each) for each in above[name]))
        return found[name]

    for name in above:
        climb(name)
    return found


def _direct(above: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Of each step what it comes right after: without what follows from the others."""
    over = _everything_above(above)
    return {
        name: {each for each in direct if not any(each in over[other] for other in direct - {each})}
        for name, direct in above.items()
    }
