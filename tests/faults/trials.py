"""One step of a day with a fault at one of its calls, and what a reader and the next run find afterwards."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jobs.commands.verify import verify
from pnn_gluon.pipeline.opening import open_store
from tests.faults.changed_day import DAY, ChangedDay
from tests.faults.warm_process import End, Fault, Mode, Warm
from tests.jobs.small_pipeline import tree


@dataclass(frozen=True)
class Finding:
    """Something that must not be.

    lost: a file or a day that was there, or that the next run should have made, is not.
    doubled: something is there that the undisturbed store does not have.
    wrong read: a reader finds neither the old day nor the new one, or a file that is not what its manifest says.
    untold: the step died of an error it should have told, or called a day done that is not.
    """

    kind: Literal["lost", "doubled", "wrong read", "untold"]
    fault: Fault
    text: str


def points(
    warm: Warm, day: ChangedDay, step: str, modes: tuple[Mode, ...], log: Path, end_of_path: str = ""
) -> list[Fault]:
    """Every fault of these modes that a step can meet, counted while it runs undisturbed.

    Only those at calls whose path ends with `end_of_path`.
    """
    day.begin(step)
    end = warm.run(day.config.path, step, DAY, Fault(log=str(log)))
    assert end.status == "done", end
    calls = [line.split("\t") for line in log.read_text().splitlines()]
    assert len(calls) == end.calls > 0
    return [
        Fault(mode, number)
        for number, (kind, path, _) in enumerate(calls, 1)
        for mode in modes
        if _can_happen(mode, kind) and path.endswith(end_of_path)
    ]


def _can_happen(mode: Mode, kind: str) -> bool:
    """Whether a call of this kind can go wrong in this way, and is not as good as another.

    A removal needs no room, and only a write can be short; a kill after a sync finds the files as one before it.
    """
    changes = kind != "fsync"
    return {"short write": kind == "write", "no space": changes and kind != "unlink", "kill": changes}.get(mode, True)


def some(faults: list[Fault], number: int, seed: int) -> list[Fault]:
    """A sample of them in their order."""
    return [faults[each] for each in sorted(random.Random(seed).sample(range(len(faults)), min(number, len(faults))))]


def tried(warm: Warm, day: ChangedDay, step: str, fault: Fault) -> tuple[End, list[Finding]]:
    """Run a step with a fault, read the store, run the step again without one; how it ended, and what was found."""
    day.begin(step)
    end = warm.run(day.config.path, step, DAY, fault)
    found = [Finding("untold", fault, text) for text in _untold(day, step, fault, end)]
    found += _read(day, step, fault)
    again = warm.run(day.config.path, step, DAY)
    if again.status not in {"done", "skipped"}:
        found.append(Finding("lost", fault, f"the next run: {again}"))
    return end, [*found, *_compared(tree(day.store), day.after(step), fault), *_left(day, fault)]


def _untold(day: ChangedDay, step: str, fault: Fault, end: End) -> Iterator[str]:
    if end.signal is not None and not (fault.mode == "kill" and end.signal == 9):
        yield f"ended by signal {end.signal}"
    if end.error is not None and not end.told:
        yield end.error
    if end.status is not None and tree(day.store) != day.after(step):
        yield f"{end.status}, but the day is not what it should be"


def _read(day: ChangedDay, step: str, fault: Fault) -> Iterator[Finding]:
    """What a reader finds right after the fault: whole days, each the old one or the new one, and no file lost."""
    now, before, after = tree(day.store), day.before(step), day.after(step)
    for check in verify(open_store(day.config), None):
        yield from (Finding("wrong read", fault, text) for text in check.damages)
    for name in before:
        if name not in now:
            yield Finding("lost", fault, name)
        elif now[name] not in (before[name], after[name] if _is_manifest(name) else before[name]):
            yield Finding("wrong read", fault, name)


def _is_manifest(name: str) -> bool:
    return name.count("/") == 1


def _compared(now: Mapping[str, bytes], expected: Mapping[str, bytes], fault: Fault) -> Iterator[Finding]:
    yield from (Finding("lost", fault, name) for name in expected.keys() - now.keys())
    yield from (Finding("doubled", fault, name) for name in now.keys() - expected.keys())
    changed = (name for name in now.keys() & expected.keys() if now[name] != expected[name])
    yield from (Finding("wrong read", fault, name) for name in changed)


def _left(day: ChangedDay, fault: Fault) -> Iterator[Finding]:
    """What the next run should have removed."""
    store = open_store(day.config)
    left = {path for table in store.tables() for path in store.leftovers(table)}
    yield from (Finding("doubled", fault, str(path)) for path in sorted(left))
