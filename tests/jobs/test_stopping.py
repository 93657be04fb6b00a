"""One Ctrl-C or SIGTERM ends a command and what it started; a death by a signal is told."""

import faulthandler
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from jobs.watched import watched
from pnn_gluon.errors import PnnError

ROOT = Path(__file__).parents[2]
IGNORING = """
import sys, time
from jobs import cli
class Closing:
    def __del__(self):  # Python ignores what is raised here
        print(0, flush=True)
        time.sleep(1)
@cli.app.command()
def wait():
    Closing()
    time.sleep(100)
sys.argv = ["pnn-gluon", "wait"]
cli.main()
"""
SWALLOWING = """
import signal, subprocess, sys, time
from jobs.stopping import ends_at_once
with ends_at_once("stopped; make demo continues here"):
    signal.signal(signal.SIGTERM, lambda number, frame: None)  # as Airflow does while a task runs
    for attempt in range(3):
        try:
            child = subprocess.Popen(["sleep", "100"], start_new_session=True)
            print(child.pid, flush=True)
            child.wait()
            time.sleep(1)  # the delay of a retry
        except BaseException:
            pass
"""
UNWINDING = """
import sys, time
from jobs import cli
@cli.app.command()
def wait():
    try:
        print(0, flush=True)
        time.sleep(100)
    finally:
        time.sleep(0.3)  # so that a second signal would meet the closing
        print("closed", flush=True)
sys.argv = ["pnn-gluon", "wait"]
cli.main()
"""
WATCHED = """
import time
from jobs import cli
from jobs.watched import watched
@cli.app.command()
def wait():
    def work(note):
        import os
        print(os.getpid(), flush=True)
        time.sleep(100)
    watched(work)
import sys
sys.argv = ["pnn-gluon", "wait"]
cli.main()
"""


def stopped(code: str, number: int, twice: bool = False) -> tuple[int, str, str, int]:
    """Exit status, output, errors of a program stopped once it had printed a process number, and that number."""
    program = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    child = int(program.stdout.readline())
    program.send_signal(number)
    if twice:  # as timeout(1) does: the process, then its group
        time.sleep(0.05)
        program.send_signal(number)
    out, errors = program.communicate(timeout=30)
    return program.returncode, out, errors, child


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_the_demo_and_its_job_although_airflow_would_try_again(number: int) -> None:
    status, _, errors, child = stopped(SWALLOWING, number)
    assert status == 128 + number
    assert "stopped; make demo continues here" in errors
    assert not psutil.pid_exists(child)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_closes_what_is_open_and_says_how_to_go_on(number: int) -> None:
    status, out, errors, _ = stopped(UNWINDING, number, twice=True)
    assert (status, out) == (128 + number, "closed\n")
    assert errors == "stopped; the same command continues here\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_where_python_ignores_exceptions_is_not_lost(number: int) -> None:
    status, _, errors, _ = stopped(IGNORING, number)
    assert status == 128 + number
    assert errors == "stopped; the same command continues here\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_no_child(number: int) -> None:
    status, _, errors, child = stopped(WATCHED, number)
    assert status == 128 + number
    assert "Traceback" not in errors
    assert not psutil.pid_exists(child)


def test_a_run_that_dies_by_a_signal_names_its_step_and_what_to_set() -> None:
    def work(note: Callable[[str], None]) -> int:
        note("ingest 2026-11-01")
        note("train 2026-11-01")
        faulthandler.disable()  # pytest's own, which would print the stack of the test
        os.kill(os.getpid(), signal.SIGILL)
        return 0

    with pytest.raises(PnnError, match=r"train 2026-11-01 was ended by SIGILL .*PNN_GLUON_ISA=avx2"):
        watched(work)


@pytest.mark.parametrize("status", [0, 3])
def test_a_watched_work_keeps_its_exit_status(status: int) -> None:
    assert watched(lambda note: status) == status


def test_a_watched_work_that_crashes_shows_its_traceback(capfd: pytest.CaptureFixture[str], shown_log: None) -> None:
    def work(note: Callable[[str], None]) -> int:
        raise ValueError("odd")

    assert watched(work) == 1
    assert "ValueError: odd" in capfd.readouterr().err
