"""A day of Criteo-like logs by one process, by two, and by Spark: the same bytes, and at what price.

    python -m benchmarks.engines [--rows 5000000] [--work work/benchmark] [--master "local[2]"]

Each step is a process of its own, `pnn-gluon step STEP`, into an empty store: seconds from start to exit. A session
of Spark begins anew in each, which is most of its price. Needs the extra `spark` and Java. Ends with one JSON line:
seconds by engine and step, and whether every file of every table is the same, byte for byte.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from benchmarks.etl import DAY, PIPELINE, STEPS
from benchmarks.usage import run
from jobs.terminal import console
from pnn_gluon.file_hash import sha256_of


def main(
    rows: Annotated[int, typer.Option(min=1000, help="Log lines.")] = 5_000_000,
    work: Annotated[Path, typer.Option(help="Folder for everything made here.")] = Path("work/benchmark"),
    master: Annotated[str, typer.Option(help="Where Spark is.")] = "local[2]",
) -> None:
    """Measure each step by each engine, and compare what they made."""
    folder = work.resolve() / "engines"
    engines = {
        "one process": "threads = 1",
        "two processes": "threads = 2",
        "spark": f'kind = "spark"\nspark_master = "{master}"',
    }
    generate(folder, rows, engines)
    seconds = {name: {step: taken(folder, name, step) for step in STEPS} for name in engines}
    digests = {name: digest(folder / path_of(name)) for name in engines}
    same = len(set(digests.values())) == 1
    show(seconds, rows, same)
    print(json.dumps({"rows": rows, "seconds": seconds, "same_bytes": same}))


def path_of(engine: str) -> str:
    """The name of an engine's store."""
    return engine.replace(" ", "_")


def generate(folder: Path, rows: int, engines: dict[str, str]) -> None:
    """The logs, and a pipeline of each engine with a store of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    before, _ = PIPELINE.split("[engine]")
    for name, engine in engines.items():
        text = before.replace('root = "store"', f'root = "{path_of(name)}"')
        (folder / f"{path_of(name)}.toml").write_text(f'{text}[engine]\nmemory_limit = "1GB"\n{engine}\n')
    options = f"--rows {rows} --requests 1 --vocabulary criteo --compression none --day {DAY}"
    command = [sys.executable, "-m", "jobs", "synth", "--folder", str(folder / "raw"), *options.split()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def taken(folder: Path, engine: str, step: str) -> float:
    """Seconds of a step by an engine."""
    options = ("--config", str(folder / f"{path_of(engine)}.toml"), "--day", str(DAY))
    return round(run([sys.executable, "-m", "jobs", "step", step, *options])[0].seconds, 2)


def digest(store: Path) -> str:
    """Of the names and bytes of all files of all tables, but manifests, which tell who made them."""
    files = sorted(path for path in store.glob("*/ds=*/run=*/**/*") if path.is_file())
    told = [[str(path.relative_to(store)), sha256_of(path)] for path in files]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def show(seconds: dict[str, dict[str, float]], rows: int, same: bool) -> None:
    """A row for each engine."""
    title = f"{rows:,} rows, seconds by step; {'the same bytes' if same else 'OTHER BYTES'}"
    table = Table("engine", *STEPS, "all", title=title)
    for name, each in seconds.items():
        table.add_row(name, *(f"{value:.1f}" for value in each.values()), f"{sum(each.values()):.1f}")
    console().print(table)


if __name__ == "__main__":
    typer.run(main)
