"""From encoded rows to an exported model: the train step of a day as a whole against its steps alone.

    python -m benchmarks.whole_job [--rows 2000000] [--precision bf16]

A generated Criteo-like day is encoded by the product (untimed). Then the step train trains one epoch on it, validates,
and exports, in a process of its own with a clock on its parts; before and after it `pnn-gluon bench` measures the pure
step, on batches in memory of the same rows. The ratio is rows a second of the whole job, from the start of the process
to its end, by those of the pure step. CPU seconds of the parts are told besides: other work on the machine changes them
less. Ends with one JSON line.
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
precision = "{}"
[engine]"""
"""In place of the model and the training of `etl`: those of the Criteo preset, with a precision."""


def main(
    rows: Annotated[int, typer.Option(min=100_000, help="Log lines of the day; 9 in 10 are trained on.")] = 2_000_000,
    precision: Annotated[str, typer.Option(help="auto, f32, x3 or bf16.")] = "auto",
    batches: Annotated[int, typer.Option(min=1, help="Batches of the pure step, before and after.")] = 50,
    work: Annotated[Path, typer.Option(help="Folder for everything made here.")] = Path("work/benchmark"),
) -> None:
    """Measure and print."""
    folder = work.resolve() / "whole_job"
    if encoded_rows(folder) != rows:
        generate(folder, rows)
        run_steps(folder)
    config = folder / "whole_job.toml"
    training = TRAINING.lstrip().format(precision)
    config.write_text(PIPELINE.partition("[model]")[0] + training + PIPELINE.partition("[engine]")[2])
    before = _bench(config, batches)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.timed_train", str(config), str(DAY)]
    usage, said = run([*command, str(time.time())])
    after = _bench(config, batches)
    job = json.loads(said.splitlines()[-1])
    step_rate = statistics.mean(each["step_rows_per_second"] for each in (before, after))
    figures = {
        "precision": precision,
        "rows": job["rows"],
        "seconds": round(usage.seconds, 2),
        "rows_per_second": round(job["rows"] / usage.seconds),
        "step_rows_per_second": round(step_rate),
        "ratio": round(job["rows"] / usage.seconds / step_rate, 3),
        "peak_mb": round(usage.peak_mb),
        "first_batch": job["first_batch"],
        "parts": _with_exit(job["parts"], usage.seconds),
        "cpu_seconds": round(usage.cpu_seconds, 2),
        "cpu_parts": _with_exit(job["cpu_parts"], usage.cpu_seconds),
    }
    _show(figures)
    print(json.dumps(figures))


def _with_exit(parts: dict[str, float], whole: float) -> dict[str, float]:
    """Seconds of the parts, with what they are together less than the whole."""
    left = max(0.0, whole - sum(parts.values()))
    return {name: round(seconds, 3) for name, seconds in (parts | {"exit": left}).items()}


def _bench(config: Path, batches: int) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "jobs", "bench", "--config", str(config), "--rounds", "1"]
    figures: dict[str, Any] = json.loads(run([*command, "--batches", str(batches)])[1].splitlines()[-1])
    return figures


def _show(figures: dict[str, Any]) -> None:
    table = Table("part", "seconds", "share", "CPU s", "share")
    for name, seconds in figures["parts"].items():
        row = (seconds, figures["seconds"]), (figures["cpu_parts"][name], figures["cpu_seconds"])
        table.add_row(name, *(text for part, whole in row for text in (f"{part:.2f}", f"{part / whole:.1%}")))
    console().print(table)
    job = f"{figures['rows']:,} rows in {figures['seconds']:.1f} s, {figures['rows_per_second']:,} rows/s"
    console().print(f"{job}; the pure step {figures['step_rows_per_second']:,} rows/s; ratio {figures['ratio']:.3f}")
    console().print(f"{figures['precision']}; the first batch after {figures['first_batch']:.1f} s")


if __name__ == "__main__":
    typer.run(main)
