"""The whole store compared with what was written: manifests, files, hashes, pointers, and what killed runs left."""

import dataclasses
import datetime
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.table import Table

from jobs.command import ConfigOption
from jobs.terminal import console
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import parse_days
from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.bundles import bundle_folder
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.steps import STEPS
from pnn_gluon.pipeline.tables import CHAMPIONS
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import Store


@dataclasses.dataclass
class TableCheck:
    """What was found in one table; `size` in bytes, one text in `damages` for each day that is not whole."""

    table: str
    days: int = 0
    files: int = 0
    size: int = 0
    damages: list[str] = dataclasses.field(default_factory=list)


def command(
    config: ConfigOption,
    day: Annotated[
        str | None, typer.Option("--day", help="One day or first..last, YYYY-MM-DD; default: every day.")
    ] = None,
) -> None:
    """Compare the store with what was written to it; status 3 when something is damaged, with what mends it."""
    if not print_verdict(load_config(config), parse_days(day) if day else None):
        raise typer.Exit(3)


def print_verdict(config: Config, days: Sequence[datetime.date] | None) -> bool:
    """Check these days of every table, or all, and print what was found; whether everything is whole."""
    store, out = open_store(config), console()
    checks = list(verify(store, days))
    shown = Table("table", "days", "files", "MB", "damaged days")
    for check in checks:
        marked = f"[red]{len(check.damages)}[/]" if check.damages else "0"
        shown.add_row(check.table, f"{check.days:,}", f"{check.files:,}", f"{check.size / 1e6:,.1f}", marked)
    out.print(shown)
    for damage in (damage for check in checks for damage in check.damages):
        out.print(f"damaged: {damage}", markup=False, soft_wrap=True)
    for left in abandoned(store, [check.table for check in checks]):
        out.print(f"left by a killed run: {left}; goes with the next run", markup=False, soft_wrap=True)
    whole = not any(check.damages for check in checks)
    out.print("everything is as it was written" if whole else "mend from the top: what comes first is read by the rest")
    return whole


def verify(store: Store, days: Sequence[datetime.date] | None) -> Iterator[TableCheck]:
    """Check every table of a store in the order of the pipeline, so that what is named first is mended first."""
    order = {step.table.name: place for place, step in enumerate(STEPS)}
    for table in sorted(store.tables(), key=lambda table: (order.get(table, len(order)), table)):
        check = TableCheck(table)
        for day in store.days(table):
            if days is None or day in days:
                _check_day(store, check, day)
        yield check


def abandoned(store: Store, tables: Sequence[str]) -> list[str]:
    """What killed runs left in the store, without the files of living ones."""
    found = {path for table in tables for path in store.leftovers(table)}
    return sorted(str(path) for path in found if store.abandoned(path))


def _check_day(store: Store, check: TableCheck, day: datetime.date) -> None:
    check.days += 1
    try:
        manifest = store.manifest(check.table, day)
        if manifest is None:
            return
        check.files += len(manifest.files)
        check.size += sum(file.size for file in manifest.files)
        store.verify(manifest)
        if check.table == CHAMPIONS.name:
            _check_pointer(store, manifest)
    except InputError as error:
        check.damages.append(str(error))


def _check_pointer(store: Store, champion: Manifest) -> None:
    """The bundle in force must be there and whole, also when its day was made again since."""
    from pnn_gluon.serving.bundle import BundleCard

    try:
        folder = bundle_folder(store, Partition(store, CHAMPIONS, champion).details.pointer)
        if folder is not None:
            BundleCard.read(folder).verify(folder)
    except InputError as error:
        remedy = store.mend(CHAMPIONS.name, champion.day)
        raise InputError(f"champions {champion.day}: {error}; or, to take what is there: {remedy}") from error
