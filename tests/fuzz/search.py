"""Looks for inputs that are read wrongly, for some time, and makes what it finds small.

`python -m tests.fuzz.search [--seconds 600] [--seed 1] [TARGET ...]` from the root of a checkout, or `make fuzz`.
Inputs are tried in a process of their own, so that one that ends it, hangs or takes too much memory is found like any
other. It prints the seed and the smallest input of each finding, and how many inputs were tried; status 1 if anything
was found. `--seed N --count 1` tries one input again.
"""

import argparse
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fuzz.target import drawn_case
from tests.fuzz.targets import TARGETS

PATIENCE = 60.0
"""Seconds after which an input hangs."""

MOST_FINDINGS = 10
"""Kinds of findings after which a target is left."""

SMALLER_SECONDS = 60.0
ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-W", "ignore", "-X", "faulthandler", "-m", "tests.fuzz.worker")


class Worker:
    """A process that tries inputs; another one begins after it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def tried(self, name: str, seed: int, kept: Sequence[int] | None = None) -> str | None:
        """What was found with the input of a seed, or some parts of it; None for nothing."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"name": name, "seed": seed, "kept": kept}).encode() + b"\n")
        process.stdin.flush()
        patience = PATIENCE if "LD_PRELOAD" not in os.environ else 10 * PATIENCE
        if not select.select([process.stdout], [], [], patience)[0]:
            self.close()
            return f"Hang: no answer after {patience:g} seconds"
        answer = process.stdout.readline()
        if answer:
            told: str | None = json.loads(answer)
            return told
        status = process.wait()
        self._process = None
        return f"End: status {status} of the process"

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            self._process = subprocess.Popen(COMMAND, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def smaller(count: int, still: Callable[[Sequence[int]], bool], seconds: float = SMALLER_SECONDS) -> list[int]:
    """The numbers of parts, of so many, without which nothing would be found; what is left after some time.

    >>> smaller(9, lambda kept: {2, 7} <= set(kept))
    [2, 7]
    """
    kept, size, end = list(range(count)), count, time.monotonic() + seconds
    while size > 1 and time.monotonic() < end:
        size = (size + 1) // 2
        start = 0
        while start < len(kept) and time.monotonic() < end:
            rest = kept[:start] + kept[start + size :]
            if rest and still(rest):
                kept = rest
            else:
                start += size
    return kept


def kind_of(finding: str) -> str:
    """By what findings are told from each other: their first line, without numbers."""
    return "".join(letter for letter in finding.partition("\n")[0][:80] if not letter.isdigit())


def searched(worker: Worker, name: str, first: int, seconds: float, count: int | None) -> int:
    """Try inputs of one target and print what was found; how many kinds of findings there were."""
    kinds: dict[str, int] = {}
    end, seed = time.monotonic() + seconds, first
    while time.monotonic() < end and len(kinds) < MOST_FINDINGS and (count is None or seed < first + count):
        finding = worker.tried(name, seed)
        if finding is not None:
            kind = kind_of(finding)
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] == 1:
                _print(worker, name, seed, finding)
        seed += 1
    print(f"{name}: {seed - first:,} inputs from seed {first}, {len(kinds)} kinds of findings", flush=True)
    return len(kinds)


def _print(worker: Worker, name: str, seed: int, finding: str) -> None:
    """A finding with the smallest input that gives one of its kind."""
    case = drawn_case(TARGETS[name], name, seed)
    kind = kind_of(finding)
    kept = smaller(len(case.parts), lambda some: kind_of(worker.tried(name, seed, some) or "") == kind)
    print(f"\n{name}, seed {seed}: {finding}\noptions: {dict(case.options)}", flush=True)
    print(f"parts {kept} of {len(case.parts)}: {str(case.with_parts(kept).parts)[:2000]}\n", flush=True)


def main() -> int:
    """Search all targets for an equal time each; 1 if something was found."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="default: all")
    asked.add_argument("--seconds", type=float, default=600.0)
    asked.add_argument("--seed", type=int, default=int(time.time()), help="the first; default: the time")
    asked.add_argument("--count", type=int, help="at most so many inputs of each")
    given = asked.parse_args()
    names = given.targets or list(TARGETS)
    worker = Worker()
    found = sum(searched(worker, name, given.seed, given.seconds / len(names), given.count) for name in names)
    worker.close()
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
