"""Ten days of Criteo-like logs, day after day, through the data steps: what a day costs as the window fills.

    python -m benchmarks.ten_days [--days 10] [--rows 200000] [--window 7] [--work work/benchmark]

Each step is a process of its own, `pnn-gluon step STEP`, with 1 GB of engine memory: its CPU seconds, of all threads,
and the bytes that its table added to the store, where a file with several names counts once. A day should cost the
same however many days its window has. Ends with one JSON line: by day, CPU seconds and bytes by step.
"""

import datetime
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks.etl import PIPELINE, STEPS
from benchmarks.usage import run
from jobs.terminal import console
from pnn_gluon.days import day_range, plus
from pnn_gluon.pipeline.steps import step

FIRST = datetime.date(2026, 11, 1)


def main(
    days: Annotated[int, typer.Option(min=2)] = 10,
    rows: Annotated[int, typer.Option(min=1000, help="Log lines of a day.")] = 200_000,
    window: Annotated[int, typer.Option(min=1, help="Days to train on.")] = 7,
    work: Annotated[Path, typer.Option(help="Folder for everything made here.")] = Path("work/benchmark"),
) -> None:
    """Measure each step of each day."""
    folder = work.resolve() / "ten_days"
    every = day_range(FIRST, plus(FIRST, days - 1))
    generate(folder, every, rows, window)
    found = {str(day): one_day(folder, day) for day in every}
    show(found, rows, window)
    print(json.dumps({"rows": rows, "window": window, "days": found}))


def generate(folder: Path, days: list[datetime.date], rows: int, window: int) -> None:
    """The pipeline's file, the logs, and no store."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = PIPELINE.replace('"etl"', '"ten_days"').replace("min_impressions = 20", "min_impressions = 10")
    for section, length in (("feature_map", 3), ("training", window)):
        head, tail = text.split(f"[{section}]", 1)
        text = f"{head}[{section}]{tail.replace('window_days = 1', f'window_days = {length}', 1)}"
    (folder / "ten_days.toml").write_text(text)
    options = f"--rows {rows} --requests 1 --vocabulary criteo --compression none --day {days[0]}..{days[-1]}"
    command = [sys.executable, "-m", "jobs", "synth", "--folder", str(folder / "raw"), *options.split()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def one_day(folder: Path, day: datetime.date) -> dict[str, Any]:
    """CPU seconds and bytes of each step of a day."""
    seconds, added = {}, {}
    for name in STEPS:
        table, before = folder / "store" / step(name).table.name, sizes(folder / "store")
        options = ("--config", str(folder / "ten_days.toml"), "--day", str(day))
        seconds[name] = round(run([sys.executable, "-m", "jobs", "step", name, *options])[0].cpu_seconds, 2)
        added[name] = sum(size for inode, size in sizes(table).items() if inode not in before)
    return {"cpu_seconds": seconds, "bytes": added}


def sizes(folder: Path) -> dict[int, int]:
    """Bytes of the files below a folder, by what they are on the disk."""
    states = [path.stat() for path in folder.rglob("*") if path.is_file()] if folder.exists() else []
    return {state.st_ino: state.st_size for state in states}


def show(found: dict[str, dict[str, Any]], rows: int, window: int) -> None:
    """A row for each day."""
    table = Table("day", *(f"{name} CPU s" for name in STEPS), "CPU s", "MB", title=f"{rows:,} rows, window {window}")
    for day, each in found.items():
        seconds, added = each["cpu_seconds"], sum(each["bytes"].values()) / 1e6
        table.add_row(day, *map(str, seconds.values()), f"{sum(seconds.values()):.2f}", f"{added:,.1f}")
    console().print(table)


if __name__ == "__main__":
    typer.run(main)
