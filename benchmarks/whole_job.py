"""From encoded rows to an exported model: the train step of a day as a whole against its steps alone.

    python -m benchmarks.whole_job [--rows 2000000]

A generated Criteo-like day is encoded by the product (untimed). Then the step train trains one epoch on it, validates,
and exports, in a process of its own with a clock on its parts; before and after it `pnn-gluon bench` measures the pure
step, on batches in memory of the same rows. The ratio is rows a second of the whole job, from the start of the process
to its end, by those of the pure step. Ends with one JSON line.
"""

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks.etl import DAY, PIPELINE, encoded_rows, generate, run_steps
from benchmarks.usage import run
from jobs.terminal import console

TRAINING = """
[model]
name = "ipnn"
embedding_size = 20
hidden = [700, 700, 700, 700, 700]
[training]
window_days = 1
epochs = 1
batch_size = 2000
[engine]"""
"""In place of the model and the training of `etl`: those of the Criteo preset."""


def main(
    rows: Annotated[int, typer.Option(min=100_000, help="Log lines of the day; 9 in 10 are trained on.")] = 2_000_000,
    batches: Annotated[int, typer.Option(min=1, help="Batches of the pure step, before and after.")] = 50,
    work: Annotated[Path, typer.Option(help="Folder for everything made here.")] = Path("work/benchmark"),
) -> None:
    """Measure and print."""
    folder = work.resolve() / "whole_job"
    if encoded_rows(folder) != rows:
        generate(folder, rows)
        run_steps(folder)
    config = folder / "whole_job.toml"
    config.write_text(PIPELINE.partition("[model]")[0] + TRAINING.lstrip() + PIPELINE.partition("[engine]")[2])
    before = _bench(config, batches)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.timed_train", str(config), str(DAY)]
    usage, said = run([*command, str(time.time())])
    after = _bench(config, batches)
    job = json.loads(said.splitlines()[-1])
    parts = job["parts"] | {"exit": round(max(0.0, usage.seconds - sum(job["parts"].values())), 3)}
    step_rate = statistics.mean(each["step_rows_per_second"] for each in (before, after))
    figures = {
        "rows": job["rows"],
        "seconds": round(usage.seconds, 2),
        "rows_per_second": round(job["rows"] / usage.seconds),
        "step_rows_per_second": round(step_rate),
        "ratio": round(job["rows"] / usage.seconds / step_rate, 3),
        "peak_mb": round(usage.peak_mb),
        "parts": parts,
    }
    _show(figures)
    print(json.dumps(figures))


def _bench(config: Path, batches: int) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "jobs", "bench", "--config", str(config), "--rounds", "1"]
    figures: dict[str, Any] = json.loads(run([*command, "--batches", str(batches)])[1].splitlines()[-1])
    return figures


def _show(figures: dict[str, Any]) -> None:
    table = Table("part", "seconds", "share")
    for name, seconds in figures["parts"].items():
        table.add_row(name, f"{seconds:.2f}", f"{seconds / figures['seconds']:.1%}")
    console().print(table)
    job = f"{figures['rows']:,} rows in {figures['seconds']:.1f} s, {figures['rows_per_second']:,} rows/s"
    console().print(f"{job}; the pure step {figures['step_rows_per_second']:,} rows/s; ratio {figures['ratio']:.3f}")


if __name__ == "__main__":
    typer.run(main)
