import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from pnn_gluon.config import EngineConfig
from pnn_gluon.errors import InputError, PnnError
from pnn_gluon.warehouse.local_workers import map_locally

TWO = EngineConfig(threads=2, memory_limit="1GB")


def described(engine: EngineConfig, part: int) -> tuple[int, int, str, int]:
    time.sleep(0.02 * (part % 3))
    return part, engine.threads, engine.memory_limit, os.getpid()


def faulty(engine: EngineConfig, part: int) -> int:
    if part == 3:
        raise InputError("part 3: not readable; deliver it again")
    return part


def killed(engine: EngineConfig, part: int) -> int:
    if part == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return part


def test_results_come_in_the_order_of_the_parts() -> None:
    found = map_locally(TWO, described, range(7))
    assert [part for part, *_ in found] == [*range(7)]
    assert {(threads, memory) for _, threads, memory, _ in found} == {(1, "500MB")}
    assert os.getpid() not in {process for *_, process in found}


def test_threads_left_over_by_few_parts_are_shared_out() -> None:
    found = map_locally(EngineConfig(threads=7, memory_limit="3GB"), described, range(3))
    assert {(threads, memory) for _, threads, memory, _ in found} == {(2, "1000MB")}


@pytest.mark.parametrize(("threads", "parts", "worth"), [(2, 1, 1), (1, 5, 1), (2, 5, 3)])
def test_what_is_not_worth_a_process_runs_here(threads: int, parts: int, worth: int) -> None:
    engine = EngineConfig(threads=threads)
    found = map_locally(engine, described, range(parts), worth)
    assert {(n, memory, process) for _, n, memory, process in found} == {(threads, "1GB", os.getpid())}


def test_an_error_of_a_part_is_raised_here_and_leaves_no_process() -> None:
    with pytest.raises(InputError, match="part 3: not readable; deliver it again"):
        map_locally(TWO, faulty, range(6))
    assert multiprocessing.active_children() == []


def test_a_process_that_dies_is_told_of() -> None:
    with pytest.raises(PnnError, match="one of 2 worker processes was ended from outside; where memory runs out"):
        map_locally(TWO, killed, range(4))


def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    (tmp_path / "sleeping.py").write_text(
        textwrap.dedent(
            """
            import os, pathlib, sys, time
            from pnn_gluon.config import EngineConfig
            from pnn_gluon.warehouse.local_workers import map_locally

            def sleep(engine, part):
                pathlib.Path(__file__).with_name(f"worker-{os.getpid()}").touch()
                time.sleep(600)

            if __name__ == "__main__":
                map_locally(EngineConfig(threads=2), sleep, range(2))
            """
        )
    )
    parent = subprocess.Popen([sys.executable, str(tmp_path / "sleeping.py")])
    try:
        deadline = time.monotonic() + 60
        while len(workers := [*tmp_path.glob("worker-*")]) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        children = [psutil.Process(int(path.name.split("-")[1])) for path in workers]
    finally:
        parent.kill()
        parent.wait()
    assert len(children) == 2
    assert psutil.wait_procs(children, timeout=30)[1] == []
