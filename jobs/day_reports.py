"""The days as a table and as a page, from what the store holds."""

import datetime
from collections.abc import Sequence
from pathlib import Path

from pnn_gluon.atomic import write_atomically
from pnn_gluon.config import Config
from pnn_gluon.evaluation.report import DayReport, render_report
from pnn_gluon.store.store import Store


def day_reports(config: Config, days: Sequence[datetime.date]) -> list[DayReport]:
    """One report for each day that was evaluated."""
    store = Store.of(config)
    return [report for day in days if (report := _day_report(store, day)) is not None]


def _day_report(store: Store, day: datetime.date) -> DayReport | None:
    evaluation, gate, rows = (store.manifest(table, day) for table in ("evaluations", "gates", "rows"))
    if evaluation is None or rows is None:
        return None
    counts = {"rows": rows.rows, "positives": rows.details["positives"]}
    return DayReport(
        day=str(day),
        model_day=evaluation.details["model_day"],
        summary=evaluation.details["summary"] or counts,
        reliability=evaluation.details["reliability"],
        gate="" if gate is None else "accepted" if gate.details["accepted"] else "refused",
        reasons=() if gate is None else gate.details["reasons"],
    )


def write_html(config: Config, days: Sequence[datetime.date], path: Path) -> None:
    """Write the report as one HTML page."""
    html = render_report(f"{config.name}: {days[0]} to {days[-1]}", day_reports(config, days))
    write_atomically(path.resolve(), html.encode())
