"""How much memory training takes for each byte of weights, with validation and checkpoints, up to the exported model.

    python -m benchmarks.training_memory [--model fm] [--optimizer adam] [--ids 500000,1000000,2000000]

Every size is trained for two epochs of a few batches in a process of its own, the first epoch being the better one, so
that the best values are not the last, and exported. Times the weights: what the peak grows by between two sizes, over
what the weights do; adam's two moments make 3 of it. Ends with one JSON line.
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from jobs.terminal import console
from pnn_gluon.arrays import Batch
from pnn_gluon.processor import processor_name

FIELDS, ROWS, BATCHES, SIZE = 20, 1000, 5, 16


class RandomIds:
    """Batches of ids drawn from all of them; the same in each epoch."""

    fingerprint, batch_count = "random", BATCHES

    def __init__(self, ids: int) -> None:
        self._ids = ids

    def batches(self, epoch: int, start_batch: int) -> Generator[Batch, None, None]:
        """Those of an epoch from a number on."""
        random = np.random.default_rng(0)
        for number in range(BATCHES):
            ids = random.integers(1, self._ids, (ROWS, FIELDS), dtype=np.int32)
            label = (random.random(ROWS) < 0.2).astype(np.float32)
            if number >= start_batch:
                yield ids, label, None


def train_one(model: str, optimizer: str, ids: int) -> dict[str, int]:
    """Train and export in this process: bytes of the weights, and the peak of the process."""
    from pnn_gluon.blocks.layout import FieldLayout
    from pnn_gluon.models.registry import create_model
    from pnn_gluon.training.export import export_model
    from pnn_gluon.training.loop import train
    from pnn_gluon.training.options import TrainingOptions

    layout = FieldLayout.from_widths({f"f{number}": 1 for number in range(FIELDS)})
    net = create_model(model, layout, ids, embedding_size=SIZE)
    values, options = iter((1.0, 2.0)), TrainingOptions(epochs=2, optimizer=optimizer, checkpoint_every=2)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Path(folder) / "checkpoints"
        train(net, RandomIds(ids), options, validate=lambda _: next(values), checkpoint_dir=checkpoints)
        _, parameters = export_model(net, Path(folder), layout.slots)
        weights = parameters.stat().st_size
    return {"weights": weights, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def main(
    model: Annotated[str, typer.Option(help="A model with one embedding an id.")] = "fm",
    optimizer: Annotated[str, typer.Option(help="How it is trained.")] = "adam",
    ids: Annotated[str, typer.Option(help="Sizes of the tables, separated by commas.")] = "500000,1000000,2000000",
    alone: Annotated[bool, typer.Option(help="One size, in this process.")] = False,
) -> None:
    """Measure each size, and print."""
    if alone:
        print(json.dumps(train_one(model, optimizer, int(ids))))
        return
    found = {size: _measured(model, optimizer, size) for size in ids.split(",")}
    sizes, table = list(found), Table("ids", "weights MB", "peak MB", "times the weights")
    times: dict[str, float] = {}
    for before, size in zip([None, *sizes], sizes, strict=False):
        if before is not None:
            times[size] = round(_grown(found[before], found[size]), 2)
        each = found[size]
        table.add_row(f"{int(size):,}", *(f"{each[name] / 1e6:.0f}" for name in each), str(times.get(size, "")))
    console().print(table)
    told = {"processor": processor_name(), "model": model, "optimizer": optimizer}
    print(json.dumps({**told, "sizes": found, "times_the_weights": times}))


def _measured(model: str, optimizer: str, size: str) -> dict[str, Any]:
    options = ("--model", model, "--optimizer", optimizer, "--ids", size, "--alone")
    command = [sys.executable, "-m", "benchmarks.training_memory", *options]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout.splitlines()[-1])
    return found


def _grown(before: dict[str, int], after: dict[str, int]) -> float:
    return (after["peak"] - before["peak"]) / (after["weights"] - before["weights"])


if __name__ == "__main__":
    typer.run(main)
