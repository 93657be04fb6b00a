"""A worker's side of a benchmark: it waits while another one computes. Needs the standard library only, so that workers
of peers, in environments of their own, have it too; the other side is `workers.py`.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import TextIO


def answer(step: Callable[[int], object], output: TextIO = sys.stdout) -> None:
    """Answer each line of input, a number of steps, with a JSON list of their milliseconds.

    `step` takes the number of the step, from 0.
    """
    done = 0
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            step(done)
            times.append(1e3 * (time.perf_counter() - start))
            done += 1
        print(json.dumps(times), file=output, flush=True)
