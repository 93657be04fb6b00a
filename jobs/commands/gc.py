"""Old runs that nothing names any more: shown, and removed where that is asked for."""

import contextlib
import datetime
import json
from collections import Counter
from typing import Annotated

import typer
from rich.table import Table

from jobs.command import ConfigOption
from jobs.terminal import console
from pnn_gluon.config import load_config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.store.old_runs import OldRun, old_runs

LONGEST_HOURS = 10_000.0


def command(
    config: ConfigOption,
    delete: Annotated[bool, typer.Option("--delete", help="Remove them; without it they are only shown.")] = False,
    hours: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            max=LONGEST_HOURS,
            show_default="store.old_run_hours",
            help="Keep a run so long after it was replaced: a step may read it.",
        ),
    ] = None,
) -> None:
    """Show the old runs that no manifest and no champion names, and with --delete remove them."""
    given = load_config(config)
    store, kept = open_store(given), datetime.timedelta(hours=hours or given.store.old_run_hours)
    with store.collecting() if delete else contextlib.nullcontext():
        found = old_runs(store, datetime.datetime.now(datetime.UTC) - kept)
        _show(found)
        gone = [each for each in found if delete and store.remove_run(each.run)]
    if found and not delete:
        console().print("nothing was removed; --delete removes them", soft_wrap=True)
    told = {"runs": len(found), "bytes": _size(found), "removed": len(gone), "freed": _size(gone)}
    print(json.dumps({"step": "gc", "status": "done", "details": told}))


def _show(found: list[OldRun]) -> None:
    runs, size = Counter(each.run.table for each in found), Counter[str]()
    for each in found:
        size[each.run.table] += each.size
    shown = Table("table", "old runs", "MB")
    for table in sorted(runs):
        shown.add_row(table, f"{runs[table]:,}", f"{size[table] / 1e6:,.1f}")
    console().print(shown)


def _size(runs: list[OldRun]) -> int:
    return sum(each.size for each in runs)
