"""Killed or failed at any call that changes the store, a step leaves the old day or the new one, and then makes it.

`make test` tries a sample, `make faults` every call of every step, or with EVERY=k every k-th.
"""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.changed_day import DATA_STEPS, STEPS, ChangedDay
from tests.faults.trials import points, some, tried
from tests.faults.warm_process import MODES, Fault, Mode, Warm

FAULTS: tuple[Mode, ...] = tuple(mode for mode in MODES if mode != "count")
SAMPLE = 4
EVERY = int(os.environ.get("FAULTS_EVERY", "1"))
KINDS = ("lost", "doubled", "wrong read", "untold")


def assert_harmless(warm: Warm, day: ChangedDay, step: str, faults: Sequence[Fault]) -> None:
    """Try each fault; print what was tried."""
    trials = [tried(warm, day, step, fault) for fault in faults]
    met = sum(end.fired > 0 or end.signal is not None for end, _ in trials)
    findings = [finding for _, found in trials for finding in found]
    kinds = Counter(finding.kind for finding in findings)
    modes = " and ".join(sorted({fault.mode for fault in faults}))
    print(f"\n{step}, {modes}: {len(faults)} points, {met} met", *(f"{kind} {kinds[kind]}" for kind in KINDS), sep=", ")
    assert findings == []
    assert met > 0.9 * len(faults)  # how many calls a step makes may differ by some between runs


@pytest.mark.parametrize("step", DATA_STEPS)
def test_faults_at_some_calls_of_a_data_step_lose_and_double_nothing(
    warm: Warm, data_day: ChangedDay, step: str, tmp_path: Path
) -> None:
    every = points(warm, data_day, step, FAULTS, tmp_path / "log")
    assert_harmless(warm, data_day, step, some(every, SAMPLE, seed=DATA_STEPS.index(step)))


@pytest.mark.parametrize("mode", ["I/O error", "no space"])
@pytest.mark.parametrize(("step", "file"), [("feature_map", ".h5"), ("encode", ".h5.partial")])
def test_no_error_of_the_disk_is_lost_in_hdf5_or_ends_the_process(
    warm: Warm, data_day: ChangedDay, step: str, file: str, mode: Mode, tmp_path: Path
) -> None:
    every = points(warm, data_day, step, (mode,), tmp_path / "log", file)
    assert_harmless(warm, data_day, step, every[3 : 3 + SAMPLE])  # from its first writes on


@pytest.mark.long
@pytest.mark.parametrize("mode", FAULTS)
@pytest.mark.parametrize("step", STEPS)
def test_faults_at_every_call_of_a_step_lose_and_double_nothing(
    warm: Warm, whole_day: ChangedDay, step: str, mode: Mode, tmp_path: Path
) -> None:
    assert_harmless(warm, whole_day, step, points(warm, whole_day, step, (mode,), tmp_path / "log")[::EVERY])


@pytest.mark.long
@pytest.mark.parametrize("mode", FAULTS)
def test_faults_in_worker_processes_lose_and_double_nothing(
    warm: Warm, day_of_workers: ChangedDay, mode: Mode, tmp_path: Path
) -> None:
    faults = points(warm, day_of_workers, "ingest", (mode,), tmp_path / "log", "rows.parquet")
    assert_harmless(warm, day_of_workers, "ingest", some(faults, SAMPLE, seed=1))
