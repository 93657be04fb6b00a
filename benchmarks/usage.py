"""What a process takes from its start to its end."""

import dataclasses
import os
import subprocess
import time


@dataclasses.dataclass(frozen=True)
class Usage:
    """What one process took: seconds from start to end, most memory, and seconds of all its threads on processors."""

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
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"status {process.returncode} of {' '.join(command)}: {said[-1000:]}")
    seconds = time.perf_counter() - started
    return Usage(seconds, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime), said
