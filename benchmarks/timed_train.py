"""The train step of the product with a clock on its parts, for `benchmarks.whole_job`.

    python -m benchmarks.timed_train CONFIG DAY STARTED

STARTED is the time (seconds since 1970) when the process was started. It has huge pages as `pnn-gluon step train` has.
Ends with one JSON line: seconds of each part, and CPU seconds of all threads meanwhile, without those of parts within
it; and after how many seconds the first batch was there.
"""

import contextlib
import functools
import json
import pkgutil
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from jobs.huge_pages import start_with_huge_pages

LOOP, CHECKPOINTS = "pnn_gluon.training.loop:_Run", "pnn_gluon.training.loop:Checkpoints"
PARTS = {
    "training": [(LOOP, "_segment")],
    "checkpoints": [(CHECKPOINTS, "save"), (CHECKPOINTS, "save_best"), (CHECKPOINTS, "load")],
    "validation": [(LOOP, "_judge")],
    "export": [("pnn_gluon.training.export", "export_model")],
}
"""The functions whose time a part is, by what has them; the rest of the step is its part `other`."""


class Clock:
    """Seconds by part; while an inner part runs, the outer one stands."""

    def __init__(self, started: float) -> None:
        self._started, self.first_batch = started, 0.0
        self.seconds, self.cpu_seconds = {"start-up": self._passed()}, {"start-up": time.process_time()}
        self._parts, self._since = ["other"], _now()

    def _passed(self) -> float:
        return time.time() - self._started

    def _settle(self) -> None:
        now, name = _now(), self._parts[-1]
        for spent, then, until in zip((self.seconds, self.cpu_seconds), self._since, now, strict=True):
            spent[name] = spent.get(name, 0.0) + until - then
        self._since = now

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What runs within belongs to this part."""
        self._settle()
        self._parts.append(name)
        try:
            yield
        finally:
            self._settle()
            self._parts.pop()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time in this part."""

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        return run

    def timed_batches(self, batches: Callable[..., Any]) -> Callable[..., Any]:
        """`Feeder.batches`, with the waiting for each batch in the part `feeder`."""

        @functools.wraps(batches)
        def run(*args: Any) -> Generator[Any, None, None]:
            with contextlib.closing(batches(*args)) as source:
                while True:
                    with self.part("feeder"):
                        batch = next(source, None)
                    self.first_batch = self.first_batch or self._passed()
                    if batch is None:
                        return
                    yield batch

        return run


def _now() -> tuple[float, float]:
    """Seconds that have passed, and those on processors."""
    return time.perf_counter(), time.process_time()


def main() -> None:
    """Run the step."""
    start_with_huge_pages()  # which may start the process anew: so imports come later
    from jobs.running import run_step
    from pnn_gluon.config import load_config
    from pnn_gluon.data.feeder import Feeder
    from pnn_gluon.days import parse_day
    from pnn_gluon.pipeline.steps import step

    config, day, started = sys.argv[1:]
    timed = [
        (part, pkgutil.resolve_name(owner), name) for part, functions in PARTS.items() for owner, name in functions
    ]
    clock = Clock(float(started))
    for part, owner, name in timed:
        setattr(owner, name, clock.timed(part, getattr(owner, name)))
    setattr(Feeder, "batches", clock.timed_batches(Feeder.batches))  # noqa: B010
    with clock.part("other"):
        outcome = run_step(step("train"), load_config(Path(config)), parse_day(day), force=True)
    told = {"rows": outcome.rows, "steps": outcome.details["steps"], "first_batch": round(clock.first_batch, 3)}
    print(json.dumps(told | {"parts": clock.seconds, "cpu_parts": clock.cpu_seconds}))


if __name__ == "__main__":
    main()
