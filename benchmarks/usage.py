"""What a process takes from its start to its end."""

import dataclasses
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

SECONDS = 0.05
"""Between two looks at the memory of the processes."""


@dataclasses.dataclass(frozen=True)
class Usage:
    """What one process took with those that it started.

    Attributes:
        seconds: From start to end.
        peak_mb: Most memory of all of them at once, as seen 20 times a second; what they share counts in each.
        cpu_seconds: Of all their threads on processors, as far as each was waited for.
    """

    seconds: float
    peak_mb: float
    cpu_seconds: float


def run(command: list[str]) -> tuple[Usage, str]:
    """Run a process to its end: what it took, and what it said on standard output.

    Raises:
        RuntimeError: it fails.
    """
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        with _watched(process.pid) as seen:
            said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"status {process.returncode} of {' '.join(command)}: {said[-1000:]}")
    seconds = time.perf_counter() - started
    return Usage(seconds, max(used.ru_maxrss / 1024, *seen), used.ru_utime + used.ru_stime), said


@contextmanager
def _watched(pid: int) -> Iterator[list[float]]:
    """MB of a process with those that it started, again and again until the end of the block."""
    seen, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(SECONDS):
            seen.append(_megabytes(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _megabytes(pid: int) -> float:
    """What a process and those that it started hold now; 0 for those that have ended."""
    held = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            held += process.memory_info().rss
    except psutil.Error:
        return 0.0
    return held / 2**20
