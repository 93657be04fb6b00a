"""How a training step grows with the ids, with the fields and with the rows of a batch; and memory with the ids.

    python -m benchmarks.growth [--models fm,ipnn] [--rounds 3] [--steps 5]

Microseconds of an example, medians of interleaved rounds: with lazy Adam and sparse gradients the number of ids should
hardly matter beyond how many different ones a batch holds and misses of the cache: any work on all ids shows here.
Fields should matter by their number for fm, and by that of their pairs too for ipnn; larger batches should pay.
Memory is the peak of the process after training steps: a table and its two moments are 12 K bytes an id.
Every point of a line is a process of its own; the lines are measured one after the other. Ends with one JSON line.
"""

import contextlib
import itertools
import json
import statistics
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from benchmarks.training_step import draw_batches
from benchmarks.workers import in_turns, our_command, running
from jobs.terminal import console
from pnn_gluon.runtime import available_processors

NUMBERS = 100_000_000
"""Most numbers of a table: V goes up to this by K."""
FIELDS = (10, 20, 39, 100)
ROWS = (256, 1024, 4096, 16384)
BASE = {"ids": 1_000_000, "fields": 39, "rows": 1024}
"""What the other two are while one grows."""
_PROCESS_MB = 700
"""A process without its table, at most."""


def main(
    models: Annotated[str, typer.Option(help="Separated by commas.")] = "fm,ipnn",
    embedding_size: Annotated[int, typer.Option(min=1)] = 20,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers.")] = "400,400,400",
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    steps: Annotated[int, typer.Option(help="Steps of a point in a round.", min=1)] = 5,
    memory_gb: Annotated[float, typer.Option(help="What all processes of a line may take.")] = 8.0,
    work: Annotated[Path, typer.Option(help="Folder for batches.")] = Path("work/benchmark"),
) -> None:
    """Measure and print."""
    lines = {"ids": (100_000, 1_000_000, NUMBERS // embedding_size), "fields": FIELDS, "rows": ROWS}
    shared = {
        "embedding_size": embedding_size,
        "hidden": [int(width) for width in hidden.split(",") if width],
        "threads": available_processors(),
        "operators": "native",
        "precision": "f32",
    }
    figures: dict[str, dict[str, Any]] = {}
    for model in models.split(","):
        figures[model] = {}
        for name, values in lines.items():
            points = [BASE | {name: value} for value in values]
            _check_memory(points, embedding_size, memory_gb)
            found = _line([shared | {"model": model} | point for point in points], rounds, steps, work)
            figures[model][name] = {str(point[name]): figure for point, figure in zip(points, found, strict=True)}
        figures[model]["mb_per_million_ids"] = _slope(figures[model]["ids"])
        _show(model, figures[model], embedding_size)
    print(json.dumps(figures))


def _check_memory(points: list[dict[str, int]], embedding_size: int, memory_gb: float) -> None:
    needed = sum(12 * point["ids"] * embedding_size / 1e9 + _PROCESS_MB / 1e3 for point in points)
    if needed > memory_gb:
        raise SystemExit(f"tables of {points} take about {needed:.1f} GB, expected at most --memory-gb {memory_gb}")


def _line(points: list[dict[str, Any]], rounds: int, steps: int, work: Path) -> list[dict[str, float]]:
    """Of each point: microseconds of an example, different ids of a batch, peak MB."""
    data = [draw_batches(work, point["rows"], point["ids"], point["fields"]) for point in points]
    with contextlib.ExitStack() as stack:
        commands = [our_command(point | {"data": str(path)}) for point, path in zip(points, data, strict=True)]
        workers = [stack.enter_context(running(command)) for command in commands]
        answers = in_turns({str(n): partial(worker.ask, steps) for n, worker in enumerate(workers)}, rounds)
        peaks = [worker.peak_mb() for worker in workers]
    return [
        {
            "us_per_example": round(1e3 * statistics.median(itertools.chain(*milliseconds)) / point["rows"], 3),
            "different_ids": _different(path),
            "peak_mb": round(peak),
        }
        for point, path, milliseconds, peak in zip(points, data, answers.values(), peaks, strict=True)
    ]


def _different(path: Path) -> int:
    """Different ids of a batch, on average."""
    with np.load(path) as data:
        return round(statistics.mean(len(np.unique(batch)) for batch in data["ids"]))


def _slope(line: dict[str, dict[str, float]]) -> float:
    """MB of peak memory that a million ids add."""
    (first, low), *_, (last, high) = line.items()
    return round(1e6 * (high["peak_mb"] - low["peak_mb"]) / (int(last) - int(first)), 1)


def _show(model: str, figures: dict[str, Any], embedding_size: int) -> None:
    for name in BASE:
        rest = ", ".join(f"{value:,} {other}" for other, value in BASE.items() if other != name)
        table = Table(name, "us an example", "different ids a batch", "peak MB", title=f"{model}: {rest}")
        for value, point in figures[name].items():
            table.add_row(f"{int(value):,}", *(f"{figure:,}" for figure in point.values()))
        console().print(table)
    table_and_moments = 12 * embedding_size
    console().print(f"{model}: {figures['mb_per_million_ids']} MB a million ids; 12 K bytes are {table_and_moments}")


if __name__ == "__main__":
    typer.run(main)
