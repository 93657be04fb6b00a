"""What the workers of a cluster read of a window of shards, and the memory that it takes.

    python -m benchmarks.cluster_reading [--workers 1,2,3] [--batch-size 1000] [--rows 2000000]

For each number of workers a pass of every worker's feeder, each in a process of its own: rows given, bytes read from
files, and the most memory over that before the pass. The shards are left for the next call.
"""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from jobs.terminal import console
from pnn_gluon.data.batch_part import BatchPart
from pnn_gluon.data.feeder import Feeder
from pnn_gluon.data.shards import ShardWriter

SLOTS, SIZE, DAYS = 40, 1_000_000, 4


def main(
    workers: Annotated[str, typer.Option(help="Numbers of workers, by commas.")] = "1,2,3",
    batch_size: Annotated[int, typer.Option(min=1, help="Rows of a batch.")] = 1000,
    rows: Annotated[int, typer.Option(min=DAYS, help="Rows of all shards.")] = 2_000_000,
    work: Annotated[Path, typer.Option(help="Folder for everything made here.")] = Path("work/benchmark"),
) -> None:
    """Read as each worker would, and print a table."""
    paths = shards(work.resolve() / "reading", rows // DAYS)
    table = Table(title=f"{rows:,} rows of {SLOTS} ids, batches of {batch_size}")
    for column in ("workers", "worker", "rows", "MB read", "MB of memory"):
        table.add_column(column)
    for count in map(int, workers.split(",")):
        for worker in range(count):
            told = map(str, (worker, count, batch_size, *paths))
            done = subprocess.run([sys.executable, "-m", __spec__.name, *told], stdout=subprocess.PIPE, check=True)
            table.add_row(str(count), str(worker), *done.stdout.decode().split())
    console().print(table)


def shards(folder: Path, rows: int) -> list[Path]:
    """A shard of so many rows for each day."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{day}-{rows}.h5" for day in range(DAYS)]
    draw = np.random.default_rng(1)
    for path in paths:
        if not path.exists():
            with ShardWriter(path, day="2026-01-01", slots=SLOTS, rate=1.0, size=SIZE) as writer:
                ids = draw.integers(1, SIZE, (rows, SLOTS), dtype=np.int32)
                writer.append("train", ids, (ids[:, 0] % 5 == 0).astype(np.uint8))
    return paths


def read(worker: int, count: int, batch_size: int, paths: list[Path]) -> str:
    """Rows, megabytes read and megabytes of memory of a worker's pass."""
    part = BatchPart(worker, worker + 1, count)
    feeder = Feeder(paths, "train", batch_size=batch_size, slots=SLOTS, size=SIZE, part=part)
    before, memory = _number("io", "rchar"), _number("status", "VmHWM")
    rows = sum(len(label) for _, label in feeder.batches())
    sizes = (_number("io", "rchar") - before) / 1e6, (_number("status", "VmHWM") - memory) * 1024 / 1e6
    return f"{rows:,} {sizes[0]:.0f} {sizes[1]:.0f}"


def _number(file: str, name: str) -> int:
    """What Linux says of this process."""
    lines = Path(f"/proc/self/{file}").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name)))


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].isdecimal():
        print(read(*map(int, sys.argv[1:4]), [Path(path) for path in sys.argv[4:]]))
    else:
        typer.run(main)
