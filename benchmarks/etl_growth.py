"""The data steps on days of more and more rows: rows a CPU second and memory should stay what they are.

    python -m benchmarks.etl_growth [--rows 500000,2000000,8000000] [--work work/benchmark]

Days of Criteo-like rows in one file each, as `benchmarks.etl` has them, each step in a process of its own, into an
empty store; one process for all of them gives memory back between steps. Ends with one JSON line: by rows, rows a CPU
second, peak MB of each step, pairs of a field and a value that were counted, and ids of the map.
"""

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks.etl import DAY, STEPS, generate, run_each
from jobs.terminal import console
from pnn_gluon.config import load_config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.processor import processor_name


def main(
    rows: Annotated[str, typer.Option(help="Log lines of each day, separated by commas.")] = "500000,2000000,8000000",
    work: Annotated[Path, typer.Option(help="Folder for everything made here.")] = Path("work/benchmark"),
) -> None:
    """Measure each size, and remove what it needed."""
    found = {}
    for number in map(int, rows.split(",")):
        folder = work.resolve() / "etl_growth"
        found[number] = measured(folder, number)
        print(json.dumps({number: found[number]}), flush=True)
        shutil.rmtree(folder)
    console().print(shown(found))
    print(json.dumps({"processor": processor_name(), "days": found}))


def measured(folder: Path, rows: int) -> dict[str, Any]:
    """What a day of so many rows takes."""
    log = generate(folder, rows)
    used = run_each(folder)
    store = open_store(load_config(folder / "etl.toml"))
    made = {table: manifest.rows for table in ("counts", "maps") if (manifest := store.manifest(table, DAY))}
    return {
        "log_mb": round(log.stat().st_size / 1e6),
        "seconds": round(sum(each.seconds for each in used.values()), 1),
        "rows_per_cpu_second": round(rows / sum(each.cpu_seconds for each in used.values())),
        **{f"{name}_mb": round(each.peak_mb) for name, each in used.items()},
        "values": made["counts"],
        "ids": made["maps"],
    }


def shown(found: dict[int, dict[str, Any]]) -> Table:
    """A row for each size."""
    table = Table("rows", "log MB", "seconds", "rows/CPU s", *(f"{name}, MB" for name in STEPS), "values", "ids")
    for rows, each in found.items():
        table.add_row(f"{rows:,}", *(f"{value:,}" for value in each.values()))
    return table


if __name__ == "__main__":
    typer.run(main)
