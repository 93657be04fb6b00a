"""The steps of a schedule as tasks: what each comes after, and what of yesterday it waits for."""

import dataclasses
from collections.abc import Sequence

from pnn_gluon.config import Config
from pnn_gluon.pipeline.step import Step


@dataclasses.dataclass(frozen=True)
class Task:
    """A step among the others of its schedule.

    Attributes:
        step: The step.
        after: Names of the steps it comes right after.
        waits_for_itself: Whether it waits until it has succeeded for the day before.
        waits_for_next: Whether it waits until what comes right after it has succeeded for the day before, too.
    """

    step: Step
    after: tuple[str, ...]
    waits_for_itself: bool
    waits_for_next: bool


def tasks(config: Config, steps: Sequence[Step]) -> tuple[Task, ...]:
    """The tasks of these steps, in their order.

    A step comes after the makers of what it reads of the day. For what it reads of earlier days it waits until it has
    succeeded for the day before itself, if that came after the maker then; else for what came after it, and the maker
    is made to come right after it.
    """
    makers = {step.table.name: step.name for step in steps}
    read = {step.name: [edge for edge in step.edges(config) if edge.needed and edge.table in makers] for step in steps}
    above: dict[str, set[str]] = {
        name: {makers[edge.table] for edge in edges if not edge.past} - {name} for name, edges in read.items()
    }
    over = _everything_above(above)
    behind = {
        name: {makers[edge.table] for edge in edges if edge.past} - over[name] - {name} for name, edges in read.items()
    }
    for name, later in behind.items():
        for maker in later:
            above[maker].add(name)
    after = _direct(above, {(name, maker) for name, later in behind.items() for maker in later})
    return tuple(
        Task(
            step,
            tuple(each.name for each in steps if each.name in after[step.name]),
            waits_for_itself=any(edge.past for edge in read[step.name]),
            waits_for_next=bool(behind[step.name]),
        )
        for step in steps
    )


def _everything_above(above: dict[str, set[str]]) -> dict[str, set[str]]:
    """Of each step all that it comes after, at whatever distance."""
    found: dict[str, set[str]] = {}

    def climb(name: str) -> set[str]:
        if name not in found:
            found[name] = above[name].union(*(climb(each) for each in above[name]))
        return found[name]

    for name in above:
        climb(name)
    return found


def _direct(above: dict[str, set[str]], kept: set[tuple[str, str]]) -> dict[str, set[str]]:
    """Of each step what it comes right after: without what follows from the others, except the pairs to be kept."""
    over = _everything_above(above)
    return {
        name: {
            each for each in direct if (each, name) in kept or not any(each in over[other] for other in direct - {each})
        }
        for name, direct in above.items()
    }
