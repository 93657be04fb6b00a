"""A backfill of ten days in a real local Airflow: wall time, memory of all its processes, order of the days.

    python -m benchmarks.airflow_days --executor celery

The small pipeline of the tests, from an empty store. Memory is the most that all processes of the Airflow had together,
as proportional set size (a page that several share counts in parts), looked at every two seconds; its database and the
jobs of the tasks are among them. Ends with one JSON line.
"""

import datetime
import json
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import psutil
import typer

from jobs.airflow.variables import MARKER
from pnn_gluon.days import day_range, plus
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres
from tests.jobs.real_airflow import Live, by_hand, running
from tests.jobs.small_pipeline import FIRST, tree

Executor: TypeAlias = Literal["local", "celery"]
LOOK = 2.0


def main(
    executor: Annotated[Executor, typer.Option(help="Who runs tasks.")] = "local",
    days: Annotated[int, typer.Option(min=1, max=30)] = 10,
    at_once: Annotated[int, typer.Option(min=1, help="Days that are under way at once.")] = 4,
) -> None:
    """Run the days, and tell what it took."""
    wanted = day_range(FIRST, plus(FIRST, days - 1))
    with tempfile.TemporaryDirectory(prefix="airflow days ") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "postgres").running() as postgres:
            with running(postgres, wanted, executor) as live:
                found = measured(live, wanted, at_once)
                same = tree(Path(live.config.store_root))
            found["same_bytes_as_by_hand"] = same == by_hand(postgres, wanted, Path(folder) / "hand")
    print(json.dumps({"executor": executor, "days": days, "at_once": at_once} | found))


def measured(live: Live, days: list[datetime.date], at_once: int) -> dict[str, Any]:
    """Seconds, memory and order of a backfill."""
    idle = memory(live.home)
    began = time.monotonic()
    with most_memory(live.home) as most:
        live.backfill(days, at_once)
        live.wait_until_over(days)
    seconds = time.monotonic() - began
    by_task: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for number, day in enumerate(days):
        for task in live.tasks(day):
            by_task[task["task_id"]].append((task["start_date"], number))
    starts = {task: [number for _, number in sorted(found)] for task, found in by_task.items()}
    ordered = sorted(task for task, order in starts.items() if order == sorted(order))
    return {
        "seconds": round(seconds, 1),
        "seconds_a_day": round(seconds / len(days), 1),
        "idle_mb": idle,
        "peak_mb": most["all"],
        "peak_mb_of": {name: size for name, size in most.items() if name != "all"},
        "in_order": ordered,
        "not_in_order": {task: order for task, order in starts.items() if task not in ordered},
    }


def memory(home: Path) -> int:
    """Megabytes of all processes of an Airflow together."""
    return sum(_megabytes(process) for process in _processes(home))


@contextmanager
def most_memory(home: Path) -> Iterator[Mapping[str, int]]:
    """The most megabytes of all processes together within the block, and of single ones of note."""
    most: dict[str, int] = defaultdict(int)
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK):
            sizes = [(_name(process), _megabytes(process)) for process in _processes(home)]
            most["all"] = max(most["all"], sum(size for _, size in sizes))
            for name, size in sizes:
                most[name] = max(most[name], size)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()


def _processes(home: Path) -> list[psutil.Process]:
    """All that belongs to an Airflow, with its database, which has no marker but works in its own folder."""
    data = str(EmbeddedPostgres(home / "postgres").data)
    return [process for process in psutil.process_iter() if _belongs(process, str(home), data)]


def _belongs(process: psutil.Process, home: str, data: str) -> bool:
    try:
        return process.environ().get(MARKER) == home or process.cwd() == data
    except psutil.Error:
        return False


def _name(process: psutil.Process) -> str:
    """What a process is: a step's job by its name, any other in a word."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return "gone"
    if "jobs" in words and "step" in words:
        return f"job {words[words.index('step') + 1]}"
    return "other"


def _megabytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss // 2**20)
    except psutil.Error:
        return 0


if __name__ == "__main__":
    typer.run(main)
