"""Training by workers and parameter servers of this machine: what it gives and costs beside one process.

    python -m benchmarks.cluster [--workers 2] [--servers 1] [--models fm,ipnn] [--ids 20000] [--steps 200]

For each network: the largest difference of any parameter from one process with as many devices; milliseconds of a step
and bytes a step over the loopback interface, both from the difference of a short and a long run, so that starting
does not count (other traffic of the machine does). Dense bytes are what whole tables would be: pulled and pushed by
every worker. Processes of one machine share its cores. Ends with one JSON line: what was found by network.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.table import Table

from jobs.terminal import console
from pnn_gluon.blocks.id_table import is_row_parameter
from pnn_gluon.cluster.job import Job, JobModel, Shape, TrainingRows
from pnn_gluon.cluster.training import train_on_cluster
from pnn_gluon.data.shards import ShardWriter
from pnn_gluon.models.registry import model_options
from pnn_gluon.training.loop import train
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import named_parameters

FIELDS = {f"field_{i}": 1 for i in range(10)}
BATCH = 1000
SHORT = 50


class Run(NamedTuple):
    """A run: seconds, loopback bytes, parameters."""

    seconds: float
    sent: int
    values: dict[str, np.ndarray[Any, Any]]


def main(
    workers: Annotated[int, typer.Option(min=1, help="Workers.")] = 2,
    servers: Annotated[int, typer.Option(min=1, help="Servers.")] = 1,
    models: Annotated[str, typer.Option(help="Networks, by commas.")] = "fm,ipnn",
    ids: Annotated[int, typer.Option(min=100, help="Ids V.")] = 20_000,
    steps: Annotated[int, typer.Option(min=1, help="Steps more in the long run than in the short one.")] = 200,
    work: Annotated[Path, typer.Option(help="Folder for everything made here.")] = Path("work/benchmark"),
) -> None:
    """Train by a cluster and by one process, and compare."""
    folder = work.resolve() / "cluster"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shards = {rows: shard(folder, rows * BATCH, ids) for rows in (SHORT, SHORT + steps)}
    results = {
        name: compared(folder, name, ids, shards, steps, Shape(workers=workers, servers=servers))
        for name in models.split(",")
    }
    show(results, f"{workers} workers, {servers} servers, {ids:,} ids, {BATCH} rows a batch")
    print(json.dumps(results))


def shard(folder: Path, rows: int, ids: int) -> Path:
    """A day of rows; a field's ids are as often as Zipf's law says."""
    draw, each = np.random.default_rng(1), (ids - 1) // len(FIELDS)
    found = draw.zipf(1.3, (rows, len(FIELDS))) % each + 1 + np.arange(len(FIELDS)) * each
    path = folder / f"{rows}.h5"
    with ShardWriter(path, day="2026-01-01", slots=len(FIELDS), rate=1.0, size=ids) as writer:
        writer.append("train", found.astype(np.int32), (found[:, 0] % 7 == 0).astype(np.uint8))
    return path


def compared(folder: Path, name: str, ids: int, shards: dict[int, Path], steps: int, shape: Shape) -> dict[str, float]:
    """What a network's runs gave."""
    short, long = (run(folder, job_of(name, ids, path, shape)) for path in shards.values())
    one_short, one = (run(folder, job_of(name, ids, path, None), shape.workers) for path in shards.values())
    width = sum(value.shape[1] for key, value in long.values.items() if is_row_parameter(key))
    return {
        "difference": max(float(np.abs(long.values[key] - one.values[key]).max()) for key in one.values),
        "step_ms": round(1e3 * (long.seconds - short.seconds) / steps, 2),
        "one_process_step_ms": round(1e3 * (one.seconds - one_short.seconds) / steps, 2),
        "bytes_a_step": (long.sent - short.sent) // steps,
        "dense_bytes_a_step": 2 * 4 * ids * width * shape.workers,
    }


def job_of(name: str, ids: int, path: Path, shape: Shape | None) -> Job:
    """One pass over a shard; without a shape in one process."""
    options = {
        key: value for key, value in {"embedding_size": 16, "hidden": (64,)}.items() if key in model_options(name)
    }
    training = TrainingOptions(
        epochs=1, learning_rate=0.01, embedding_l2=1e-5, kvstore="dist_sync" if shape else "device"
    )
    model = JobModel(name=name, options=options, fields=FIELDS, size=ids)
    rows = TrainingRows(paths=(path,), batch_size=BATCH, seed=1)
    return Job(shape=shape or Shape(), model=model, training=training, rows=rows)


def run(folder: Path, job: Job, devices: int | None = None) -> Run:
    """Train by a cluster, or by so many devices of this process."""
    net, sent, began = job.model.create(job.model.size), loopback(), time.perf_counter()
    if devices is None:
        train_on_cluster(net, job, folder / "job")
        shutil.rmtree(folder / "job")
    else:
        train(net, job.feeder(), job.training.replaced(devices=devices))
    taken = time.perf_counter() - began
    values = {name: each.list_data()[0].asnumpy() for name, each in named_parameters(net).items()}
    return Run(taken, loopback() - sent, values)


def loopback() -> int:
    """Bytes that the loopback interface has received since the machine began."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.strip().startswith("lo:")))


def show(results: dict[str, dict[str, float]], title: str) -> None:
    """The table."""
    table = Table(title=title)
    for column in ("network", "largest difference", "ms a step", "one process", "MB a step", "dense"):
        table.add_column(column)
    for name, found in results.items():
        sizes = (f"{found[key] / 1e6:.2f}" for key in ("bytes_a_step", "dense_bytes_a_step"))
        table.add_row(
            name, f"{found['difference']:.1e}", str(found["step_ms"]), str(found["one_process_step_ms"]), *sizes
        )
    console().print(table)


if __name__ == "__main__":
    typer.run(main)
