"""The days as a table and as pages, from what the store holds."""

import datetime
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from jobs.day_documents import day_document, day_report
from pnn_gluon import __version__
from pnn_gluon.atomic import write_atomically
from pnn_gluon.config import Config
from pnn_gluon.days import plus, window
from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import Partition, open_partition
from pnn_gluon.pipeline.steps import REPORTED
from pnn_gluon.pipeline.tables import EVALUATIONS, GATES, REEVALUATIONS, D, Table
from pnn_gluon.report.day_document import DayDocument
from pnn_gluon.report.day_report import DayReport
from pnn_gluon.report.difference import difference
from pnn_gluon.report.pages import render_day, render_index
from pnn_gluon.store.store import Store

INDEX_FILE = "index.html"

Link = Callable[[datetime.date], str]
"""The address of the page of a day."""


class _StoredDay:
    """A day as it lies in the store, table by table."""

    def __init__(self, store: Store, day: datetime.date) -> None:
        self.store, self.day = store, day

    def __call__(self, table: Table[D]) -> Partition[D] | None:
        return open_partition(self.store, table, self.day)


def day_reports(config: Config, days: Sequence[datetime.date]) -> list[DayReport]:
    """One report for each day that was evaluated.

    Raises:
        InputError: none of the days was.
    """
    store, late = open_store(config), config.calibration.maturity_days
    found = (day_report(str(day), _StoredDay(store, day), _matured_pcoc(store, day, late)) for day in days)
    reports = [report for report in found if report is not None]
    if not reports:
        raise InputError(
            f"{config.path}: nothing to report: no day from {days[0]} to {days[-1]} was evaluated in the store "
            f"{config.store_root}; see `pnn-gluon status --config {config.path} --day {days[0]}..{days[-1]}`"
        )
    return reports


def _matured_pcoc(store: Store, day: datetime.date, late: int) -> float | None:
    """PCOC of the same model on the same day by the labels that came up to `late` days later; None until they did."""
    again = open_partition(store, REEVALUATIONS, plus(day, late)) if late else None
    if again is None or again.details.day != str(day) or again.details.summary is None:
        return None
    pcoc: float | None = again.details.summary["pcoc"]
    return pcoc


def day_page(config: Config, day: datetime.date, against: datetime.date | None = None, index: str = "") -> str:
    """The page of a day, with how long its steps took and what differs from another day.

    Args:
        config: The pipeline.
        day: The day.
        against: The other day; by default the day before, where that was evaluated.
        index: The address of the page of several days.

    Raises:
        InputError: the day was not evaluated, or the other one, which was asked for, was not.
    """
    document, other = _document(config, day), _stored_document(config, against or plus(day, -1))
    if against is not None and other is None:
        other = _document(config, against)
    seconds = {
        each.step: spent for each in document.lineage if (spent := _seconds(config, day, each.table)) is not None
    }
    compared = None if other is None else difference(other, document)
    return render_day(_title(config, [day]), document, index, compared, seconds)


def _document(config: Config, day: datetime.date) -> DayDocument:
    found = _stored_document(config, day)
    if found is None:
        day_reports(config, [day])
        raise InputError(f"{config.path}: {day} was not evaluated")
    return found


def _stored_document(config: Config, day: datetime.date) -> DayDocument | None:
    store = open_store(config)
    earlier = [_StoredDay(store, each) for each in _trend_days(config, day)]
    return day_document(config.name, str(day), _StoredDay(store, day), earlier)


def _trend_days(config: Config, day: datetime.date) -> list[datetime.date]:
    """The days before a day whose numbers its page shows, oldest first."""
    return sorted(window(plus(day, -1), config.report.trend_days, config.first_day))


def _seconds(config: Config, day: datetime.date, table: str) -> float | None:
    store = open_store(config)
    manifest = store.manifest(table, day)
    return None if manifest is None else store.seconds(manifest)


def html_of(config: Config, days: Sequence[datetime.date], link: Link | None = None, index: str = "") -> str:
    """The page of a day, or of several days, where several were asked for.

    Args:
        config: The pipeline.
        days: The days.
        link: The address of the page of a day, where each has one.
        index: The address of the page of several days, where there is one.
    """
    if len(days) == 1:
        return day_page(config, days[0], index=index)
    reports = day_reports(config, days)
    links = None if link is None else {each.day: link(datetime.date.fromisoformat(each.day)) for each in reports}
    return render_index(_title(config, days), reports, links)


def _title(config: Config, days: Sequence[datetime.date]) -> str:
    return f"{config.name}: {days[0]}" if len(days) == 1 else f"{config.name}: {days[0]} to {days[-1]}"


def write_html(config: Config, days: Sequence[datetime.date], path: Path, against: datetime.date | None = None) -> None:
    """Write the report as one HTML page; that of one day may say what differs from another day."""
    page = html_of(config, days) if against is None else day_page(config, days[0], against)
    write_atomically(path.resolve(), page.encode())


def write_pages(config: Config, days: Sequence[datetime.date], folder: Path) -> Path:
    """Write a page for each day that was evaluated, with its numbers as JSON beside it, and one of all days.

    Returns:
        The page of all days.
    """
    reports = day_reports(config, days)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for report in reports:
        day = datetime.date.fromisoformat(report.day)
        write_atomically(folder / f"{day}.html", day_page(config, day, index=INDEX_FILE).encode())
        write_atomically(folder / f"{day}.json", _document(config, day).to_json())
    links = {report.day: f"{report.day}.html" for report in reports}
    write_atomically(folder / INDEX_FILE, render_index(_title(config, days), reports, links).encode())
    return folder / INDEX_FILE


def made_from(config: Config, days: Sequence[datetime.date]) -> str:
    """A name for everything that the report of these days shows: while it stays, so does the page."""
    store, late = open_store(config), config.calibration.maturity_days
    read = [(table.name, day) for day in days for table in REPORTED]
    read += [(REEVALUATIONS.name, plus(day, late)) for day in days]
    if len(days) == 1:
        read += [(table.name, day) for day in _trend_days(config, days[0]) for table in (EVALUATIONS, GATES)]
        read += [(table.name, plus(days[0], -1)) for table in REPORTED]
    manifests = [store.manifest(name, day) for name, day in read]
    shown = [None if manifest is None else [manifest.run, manifest.to_json().decode()] for manifest in manifests]
    told = json.dumps([__version__, config.name, [str(day) for day in days], late, shown], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()
