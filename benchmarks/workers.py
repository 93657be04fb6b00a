"""Processes that wait while another one computes, so that variants can be measured in turn within one run.

A worker reads a line of input, a number of steps, does them, and answers with one JSON value on one line.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from benchmarks.peer import peer_python

HERE = Path(__file__).parent
_ENVIRONMENT = {"GOMP_SPINCOUNT": "1000"}
"""As ours sets it itself: threads of a peer that spin for long would be many times slower on a shared machine."""


class Worker:
    """A process in waiting."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, steps: int) -> Any:
        """Let it do that many steps; its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return self.heard()

    def heard(self) -> Any:
        """The next thing it says, of itself or as an answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a variant ended with status {self._process.wait()}; its message is above")
        return json.loads(line)

    def peak_mb(self) -> float:
        """The most memory it has held so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

    def processor_seconds(self) -> float:
        """What it has used of processors so far, with all its threads."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)


@contextlib.contextmanager
def running(command: list[str], environment: Mapping[str, str] | None = None) -> Iterator[Worker]:
    """A worker of this command until the end of the block, with more environment variables."""
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=os.environ | _ENVIRONMENT | dict(environment or {}), **pipes)
    try:
        yield Worker(process)
    finally:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()


def in_turns(variants: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[Any]]:
    """What each variant answers in all rounds but the first, which warms up."""
    found: dict[str, list[Any]] = {name: [] for name in variants}
    for turn in range(rounds + 1):
        for name, measure in variants.items():
            answer = measure()
            found[name] += [answer] if turn else []
    return found


def our_command(settings: dict[str, Any]) -> list[str]:
    """The command of `our_step` with these settings."""
    return [sys.executable, "-W", "ignore", "-m", "benchmarks.our_step", json.dumps(settings)]


def peer_command(file: str, environment: str, settings: dict[str, Any], work: Path) -> list[str]:
    """The command of a peer's file, in the environment of this name, made by the locked file of this name."""
    python = peer_python(work / environment, ["--no-deps", "-r", str(HERE / f"{environment}.lock")])
    return [str(python), str(HERE / file), json.dumps(settings)]
