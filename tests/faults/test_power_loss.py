"""After a power cut at any moment a store holds the old day or the new one, and the new one once the step has ended."""

import copy
import random
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import pytest

from jobs.commands.verify import verify
from pnn_gluon.pipeline.steps import step as step_of
from pnn_gluon.store.store import Store
from tests.faults.changed_day import DATA_STEPS, DAY, STEPS, ChangedDay
from tests.faults.power_loss import Call, Disk, read_log
from tests.faults.warm_process import Fault, Warm

Gone: TypeAlias = Literal["nothing", "day", "table"]
SHARES = (1.0, 0.5, 0.0)
"""Of the bytes of a file that was not synced, what is on the disk."""


class PowerCuts:
    """Power cuts during a step of a day.

    Args:
        warm: runs the step.
        day: the pipeline.
        step: the step.
        gone: what is not there before it.
        folder: for the states of the store.
        kill: the call after which a first run of the step is killed; 0 for no such run.
    """

    def __init__(self, warm: Warm, day: ChangedDay, step: str, gone: Gone, folder: Path, kill: int = 0) -> None:
        self._table, self._folder = step_of(step).table.name, folder
        day.begin(step)
        _remove(day.store / self._table, gone)
        self._before, self._old = Disk.of(day.store), self._manifest(day.store)
        content = self._before.content(day.store)
        log, self._calls = folder / "log", list[Call]()
        for fault in [Fault("kill", kill, str(log))] * bool(kill) + [Fault(log=str(log))]:
            end = warm.run(day.config.path, step, DAY, fault)
            assert end.status == "done" or end.signal == signal.SIGKILL, end
            self._calls += read_log(log, day.store)
        self._new = self._manifest(day.store)
        assert self._new not in {None, self._old}
        self._content = content | self._replayed(len(self._calls)).content(day.store)

    def _manifest(self, store: Path) -> bytes | None:
        path = store / self._table / f"ds={DAY}.json"
        return path.read_bytes() if path.exists() else None

    def _replayed(self, calls: int) -> Disk:
        """The disk after the first calls."""
        disk = copy.deepcopy(self._before)
        for call in self._calls[:calls]:
            disk.call(*call)
        return disk

    def moves(self) -> list[int]:
        """Numbers of the calls that make the folder of the day, and move a run into it."""
        day = Path(self._table, f"ds={DAY}")
        return [
            number
            for number, (kind, path, other) in enumerate(self._calls, 1)
            if (kind, path) == ("mkdir", day) or (kind, other.parent) == ("rename", day)
        ]

    def moments(self, most: int, drawn: random.Random) -> list[int]:
        """Numbers of calls before a cut: up to each rename, some others, and all of them."""
        renames = {number for number, (kind, *_) in enumerate(self._calls, 1) if kind == "rename"}
        some = drawn.sample(range(len(self._calls)), min(most, len(self._calls)))
        return sorted(renames | {*some, len(self._calls)})

    def found(self, moments: Sequence[int], most: int, drawn: random.Random) -> tuple[int, list[str]]:
        """Cut the power at these moments, each with `most` states and two; how many there were, and what was wrong."""
        count, wrong = 0, list[str]()
        for calls in moments:
            disk = self._replayed(calls)
            for names in disk.after_a_power_cut(drawn, most):
                store = self._folder / str(count := count + 1)
                disk.put(names, self._content, drawn.choice(SHARES), store)
                wrong += [f"after {calls} calls: {text}" for text in self._wrong(store, calls == len(self._calls))]
                shutil.rmtree(store)
        return count, wrong

    def _wrong(self, store: Path, over: bool) -> list[str]:
        """What is wrong with a store; when the step is `over` its day must be there."""
        damages = [text for check in verify(Store(str(store)), None) for text in check.damages]
        stands = self._manifest(store) in ({self._new} if over else {self._old, self._new})
        return damages + ([] if stands else ["neither the old day nor the new one" if not over else "not the new day"])


def assert_whole(cuts: PowerCuts, moments: int, most: int, seed: int) -> None:
    """Cut the power; print how often."""
    drawn = random.Random(seed)
    count, wrong = cuts.found(cuts.moments(moments, drawn), most, drawn)
    print(f"\n{count} states after power cuts, {len(wrong)} wrong")
    assert wrong == []


def _remove(table: Path, gone: Gone) -> None:
    if gone == "day":
        (table / f"ds={DAY}.json").unlink()
        shutil.rmtree(table / f"ds={DAY}")
    elif gone == "table":
        shutil.rmtree(table)


QUICK: list[tuple[str, Gone]] = [
    ("ingest", "nothing"),
    ("count", "table"),
    ("feature_map", "nothing"),
    ("feature_map", "day"),
    ("encode", "day"),
]


@pytest.mark.parametrize(("step", "gone"), QUICK)
def test_a_power_cut_leaves_the_old_day_or_the_new_one(
    warm: Warm, data_day: ChangedDay, step: str, gone: Gone, tmp_path: Path
) -> None:
    assert_whole(PowerCuts(warm, data_day, step, gone, tmp_path), 2, 3, seed=DATA_STEPS.index(step))


def test_what_a_killed_run_moved_is_on_the_disk_before_the_next_one_names_it(
    warm: Warm, data_day: ChangedDay, tmp_path: Path
) -> None:
    moves = PowerCuts(warm, data_day, "count", "day", tmp_path).moves()
    assert len(moves) == 2
    for kill in moves:
        assert_whole(PowerCuts(warm, data_day, "count", "day", tmp_path, kill), 0, 7, seed=kill)


@pytest.mark.long
@pytest.mark.parametrize("gone", ["nothing", "day"])
@pytest.mark.parametrize("step", STEPS)
def test_power_cuts_after_every_call_leave_the_old_day_or_the_new_one(
    warm: Warm, whole_day: ChangedDay, step: str, gone: Gone, tmp_path: Path
) -> None:
    assert_whole(PowerCuts(warm, whole_day, step, gone, tmp_path), 10**6, 10, seed=STEPS.index(step))
