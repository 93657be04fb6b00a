"""The train step of the product with a clock on its parts, for `benchmarks.whole_job`.

    python -m benchmarks.timed_train CONFIG DAY STARTED

STARTED is the time (seconds since 1970) when the process was started. Ends with one JSON line: seconds of each part,
without those of parts within it.
"""

import contextlib
import functools
import json
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from jobs.running import run_step
from pnn_gluon.config import load_config
from pnn_gluon.data.feeder import Feeder
from pnn_gluon.days import parse_day
from pnn_gluon.pipeline.steps import step
from pnn_gluon.training import export, loop

PARTS: dict[str, list[tuple[Any, str]]] = {
    "training": [(loop._Run, "_segment")],
    "checkpoints": [(loop.Checkpoints, "save"), (loop.Checkpoints, "save_best"), (loop.Checkpoints, "load")],
    "validation": [(loop._Run, "_judge")],
    "export": [(export, "export_model")],
}
"""The functions whose time a part is; the rest of the step is its part `other`."""


class Clock:
    """Seconds by part; while an inner part runs, the outer one stands."""

    def __init__(self, started: float) -> None:
        self.seconds = {"start-up": time.time() - started}
        self._parts, self._since = ["other"], time.perf_counter()

    def _settle(self) -> None:
        now = time.perf_counter()
        self.seconds[self._parts[-1]] = self.seconds.get(self._parts[-1], 0.0) + now - self._since
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
                    if batch is None:
                        return
                    yield batch

        return run


def main() -> None:
    """Run the step."""
    config, day, started = sys.argv[1:]
    clock = Clock(float(started))
    for part, functions in PARTS.items():
        for owner, name in functions:
            setattr(owner, name, clock.timed(part, getattr(owner, name)))
    setattr(Feeder, "batches", clock.timed_batches(Feeder.batches))  # noqa: B010
    with clock.part("other"):
        outcome = run_step(step("train"), load_config(Path(config)), parse_day(day), force=True)
    parts = {name: round(seconds, 3) for name, seconds in clock.seconds.items()}
    steps = outcome.details["steps"]
    print(json.dumps({"rows": outcome.rows, "steps": steps, "parts": parts}))


if __name__ == "__main__":
    main()
