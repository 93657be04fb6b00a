"""Rows a second of one core beside what DeepRec publishes of its own, on networks of the same sizes.

    python -m benchmarks.deeprec

DeepRec is not run here: its figures, of a whole training of Criteo's logs with its reading, are those of the README of
each model in its model zoo, over the four cores of an Intel Xeon Platinum 8369HC at 3.3 GHz (AVX-512). Ours are
training steps on batches in memory, one thread. DLRM is compared with ipnn, which has the same vectors and products and
the same MLP above them, and no MLP below: its first layer takes all vectors besides, which is more arithmetic in all.
Ends with one JSON line: model and precision to rows a second a core.
"""

import itertools
import json
import statistics
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks.training_step import VARIANTS, draw_batches
from benchmarks.workers import in_turns, our_command, running
from jobs.terminal import console
from pnn_gluon.processor import processor_name

ROWS, IDS, VECTOR = 512, 1_000_000, 16
CORES = 4
NETWORKS: dict[str, dict[str, Any]] = {
    "deepfm": {"fields": 39, "hidden": [1024, 256, 32]},
    "ipnn": {"fields": 27, "hidden": [512, 256]},
}
PUBLISHED = {
    "deepfm": {"f32": 31260.00 / CORES, "bf16": 34627.46 / CORES},
    "ipnn": {"f32": 59067.85 / CORES, "bf16": 60907.11 / CORES},
}
"""Rows a second of a core: modelzoo/deepfm and modelzoo/dlrm of DeepRec, with oneDNN."""
NAMES = {"deepfm": "DeepFM", "ipnn": "DLRM"}


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 7,
    steps: Annotated[int, typer.Option(help="Steps of a network in a round.", min=1)] = 10,
    work: Annotated[Path, typer.Option(help="Folder for batches.")] = Path("work/benchmark"),
) -> None:
    """Measure and print."""
    table = Table("DeepRec's", "ours", "precision", "DeepRec, rows/s a core", "ours, rows/s a core", "ratio")
    figures: dict[str, dict[str, int]] = {}
    for model, sizes in NETWORKS.items():
        found = measure(model, sizes, rounds, steps, work)
        figures[model] = {precision: round(rate) for precision, rate in found.items()}
        for precision, rate in found.items():
            theirs = PUBLISHED[model][precision]
            row = (NAMES[model], model, precision, f"{theirs:,.0f}", f"{rate:,.0f}", f"{rate / theirs:.2f}")
            table.add_row(*row)
    console().print(f"ours on one core of {processor_name()}; DeepRec's published, Intel Xeon Platinum 8369HC, 3.3 GHz")
    console().print(table)
    print(json.dumps(figures))


def measure(model: str, sizes: dict[str, Any], rounds: int, steps: int, work: Path) -> dict[str, float]:
    """Rows a second of one thread, by precision."""
    data = str(draw_batches(work, ROWS, IDS, sizes["fields"]))
    settings = {"model": model, "ids": IDS, "embedding_size": VECTOR, "threads": 1, "data": data, **sizes}
    with (
        running(our_command(settings | VARIANTS["f32"])) as f32,
        running(our_command(settings | VARIANTS["bf16"])) as bf16,
    ):
        measures = {name: partial(worker.ask, steps) for name, worker in (("f32", f32), ("bf16", bf16))}
        taken = in_turns(measures, rounds)
    return {name: 1e3 * ROWS / statistics.median(itertools.chain(*each)) for name, each in taken.items()}


if __name__ == "__main__":
    typer.run(main)
