"""Variants that are measured in turns: processes that wait while another one computes.

A worker takes one JSON object of settings as its last argument. It says one JSON object when it is ready; then it
answers each line of its input, a number of steps, with a JSON list of their milliseconds.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any


@contextlib.contextmanager
def worker(command: Sequence[str], environment: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A running worker with more environment variables; it ends with the block."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()


def heard(process: "subprocess.Popen[str]") -> Any:
    """The next thing a worker says."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"a variant ended with status {process.wait()}; its message is above")
    return json.loads(line)


def taken(process: "subprocess.Popen[str]", steps: int) -> list[float]:
    """Let a worker take some steps: their milliseconds."""
    assert process.stdin is not None
    process.stdin.write(f"{steps}\n")
    process.stdin.flush()
    times: list[float] = heard(process)
    return times


def in_turns(variants: Mapping[str, Callable[[], list[float]]], rounds: int) -> dict[str, list[float]]:
    """What each variant answers in all rounds but the first, which warms up."""
    found: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds + 1):
        for name, measure in variants.items():
            times = measure()
            found[name] += times if turn else []
    return found


def answer(step: Callable[[int], object], ready: object) -> None:
    """The worker's side: `step` takes the number of the step, from 0."""
    print(json.dumps(ready), flush=True)
    done = 0
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            step(done)
            times.append(1e3 * (time.perf_counter() - start))
            done += 1
        print(json.dumps(times), flush=True)
