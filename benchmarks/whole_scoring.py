"""`score-table` as a whole process beside the kernel alone, in CPU seconds: what start, reading and writing cost.

    python -m benchmarks.whole_scoring --table-rows 200000,2000000 --precisions f32,bf16

The kernel is the bundle's network on encoded rows, in a process that has loaded it; both take turns within a run. CPU
seconds of all threads, since other work on the machine changes them less than the time that passes; by default each
side computes with one thread. The ratio is the process's rows a CPU second over the kernel's. Ends with one JSON line.
"""

import contextlib
import json
import resource
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks.scored_bundle import make_bundle
from benchmarks.workers import Worker, in_turns, running
from jobs.terminal import console

BATCH = 16_384
"""Rows of a call of the kernel."""


def main(
    model: Annotated[str, typer.Option(help="A network.")] = "ipnn",
    precisions: Annotated[str, typer.Option(help="Of auto, f32, x3, bf16.")] = "f32,bf16",
    table_rows: Annotated[str, typer.Option(help="Rows of raw tables.")] = "200000,2000000",
    ids: Annotated[int, typer.Option(help="Rows of the id tables.", min=1000)] = 1_000_000,
    fields: Annotated[int, typer.Option(min=2)] = 39,
    embedding_size: Annotated[int, typer.Option(min=1)] = 20,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers.")] = "700,700,700,700,700",
    rounds: Annotated[int, typer.Option(help="Besides one that warms up.", min=1)] = 2,
    steps: Annotated[int, typer.Option(help="Calls of the kernel in a round.", min=1)] = 4,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    work: Annotated[Path, typer.Option(help="Folder for bundles and tables.")] = Path("work/benchmark"),
) -> None:
    """Measure and print."""
    asked = {"model": model, "rows": BATCH, "ids": ids, "fields": fields, "embedding_size": embedding_size}
    asked |= {"hidden": [int(width) for width in hidden.split(",") if width]}
    found = []
    for rows in map(int, table_rows.split(",")):
        settings = make_bundle(work / f"whole_scoring_{rows}", asked | {"table_rows": rows})
        for precision in precisions.split(","):
            measured = _measured(settings, precision, threads, rounds, steps)
            found.append({"rows": rows, "precision": precision, **measured})
    table = Table(*found[0], title=f"{model}, rows a CPU second, {threads} thread(s)")
    for line in found:
        table.add_row(*(f"{value:,}" if isinstance(value, int | float) else value for value in line.values()))
    console().print(table)
    print(json.dumps(found))


def _measured(settings: dict[str, Any], precision: str, threads: int, rounds: int, steps: int) -> dict[str, Any]:
    """Rows a CPU second of kernel and process, medians, and the CPU seconds of the process."""
    environment = {"OMP_NUM_THREADS": str(threads), "PNN_GLUON_PRECISION": precision}
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.our_scoring"]
    with contextlib.ExitStack() as stack:
        worker = stack.enter_context(running([*command, json.dumps(settings | {"engine": "native"})], environment))
        worker.heard()
        measures = {
            "kernel": partial(_kernel_seconds, worker, steps),
            "process": partial(_process_seconds, settings, precision, threads),
        }
        seconds = {name: statistics.median(each) for name, each in in_turns(measures, rounds).items()}
    kernel, process = steps * BATCH / seconds["kernel"], settings["table_rows"] / seconds["process"]
    told = {"kernel": round(kernel), "process": round(process), "ratio": round(process / kernel, 3)}
    return {**told, "CPU s of the process": round(seconds["process"], 2)}


def _kernel_seconds(worker: Worker, steps: int) -> float:
    """CPU seconds of so many calls."""
    before = worker.processor_seconds()
    worker.ask(steps)
    return worker.processor_seconds() - before


def _process_seconds(settings: dict[str, Any], precision: str, threads: int) -> float:
    """CPU seconds of `score-table`, from its start to its end."""
    folder = Path(settings["folder"])
    command = ["env", f"OMP_NUM_THREADS={threads}", sys.executable, "-W", "ignore", "-m", "jobs", "score-table"]
    command += [str(folder / "bundle"), str(folder / "table.parquet"), str(folder / "scores.parquet")]
    command += ["--overwrite", "--columns", "row_id", "--precision", precision, "--threads", str(threads)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    typer.run(main)
