"""A process that tries inputs one by one: `python -m tests.fuzz.worker`, the other end of `search.Worker`.

It reads a request a line (the target, a seed, the parts to keep) and answers each with a line: what was found, or null.
"""

import json
import os
import resource
import sys
import tempfile
import traceback
from pathlib import Path

from tests.fuzz.target import drawn_case
from tests.fuzz.targets import TARGETS

MOST_GROWTH = 1 << 20
"""Kilobytes by which one input may raise the peak of memory."""

ADDRESSES = 24 << 30
"""Bytes of addresses, within which the machine is not endangered."""


def found(name: str, seed: int, kept: list[int] | None) -> str | None:
    """What was found with an input, or some parts of it; None where all is as it should be."""
    target = TARGETS[name]
    case = drawn_case(target, name, seed)
    case = case if kept is None else case.with_parts(kept)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        try:
            target.check(case, Path(folder))
        except Exception as error:  # whatever it is, it is what is looked for
            return f"{type(error).__name__}: {error}\n{''.join(traceback.format_tb(error.__traceback__)[-3:])}"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return f"MemoryPeak: {grown >> 10:,} MiB more" if grown > MOST_GROWTH else None


def main() -> None:
    """Answer requests until there are no more."""
    if "LD_PRELOAD" not in os.environ:  # sanitizers take terabytes of addresses
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        print(json.dumps(found(**json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
