"""The days as a table and as a page, from what the store holds."""

import datetime
from collections.abc import Sequence
from pathlib import Path

from jobs.reading import kept_reason
from pnn_gluon.atomic import write_atomically
from pnn_gluon.config import Config
from pnn_gluon.days import plus
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.report import DayReport, render_report
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import Store


def day_reports(config: Config, days: Sequence[datetime.date]) -> list[DayReport]:
    """One report for each day that was evaluated.

    Raises:
        InputError: none of the days was.
    """
    store, late = Store.of(config), config.calibration.maturity_days
    reports = [report for day in days if (report := _day_report(store, day, late)) is not None]
    if not reports:
        raise InputError(
            f"{config.path}: nothing to report: no day from {days[0]} to {days[-1]} was evaluated in the store "
            f"{config.store_root}; see `pnn-gluon status --config {config.path} --day {days[0]}..{days[-1]}`"
        )
    return reports


def _day_report(store: Store, day: datetime.date, late: int) -> DayReport | None:
    evaluation, gate, rows = (store.manifest(table, day) for table in ("evaluations", "gates", "rows"))
    if evaluation is None or rows is None:
        return None
    bundle, details = store.manifest("bundles", day), evaluation.details
    counts = {"rows": rows.rows, "positives": rows.details["positives"]}
    new_values = details.get("new_values") or {}  # stores of earlier releases have no such slice and no notes
    new = {f"new_{name}": new_values.get(name) for name in ("rows", "pcoc")}
    return DayReport(
        day=str(day),
        model_day=evaluation.details["model_day"],
        summary={**(details["summary"] or counts), **new, "matured_pcoc": _matured_pcoc(store, day, late)},
        reliability=evaluation.details["reliability"],
        gate=_word(gate),
        reasons=() if gate is None else gate.details["reasons"],
        notes=_notes(evaluation, bundle, gate),
    )


def _matured_pcoc(store: Store, day: datetime.date, late: int) -> float | None:
    """PCOC of the same model on the same day by the labels that came up to `late` days later; None until they did."""
    again = store.manifest("reevaluations", plus(day, late)) if late else None
    if again is None or again.details["day"] != str(day) or again.details["summary"] is None:
        return None
    pcoc: float | None = again.details["summary"]["pcoc"]
    return pcoc


def _notes(evaluation: Manifest, bundle: Manifest | None, gate: Manifest | None) -> list[str]:
    found = {
        "evaluate": evaluation.details.get("notes", ()),
        "calibrate": () if bundle is None else bundle.details.get("notes", ()),
        "gate": () if gate is None else gate.details.get("measures", {}).get("notes", ()),
    }
    return [f"{step}: {note}" for step, notes in found.items() for note in notes]


def _word(gate: Manifest | None) -> str:
    if gate is None:
        return ""
    if kept_reason(gate.details) is not None:
        return "kept"
    return "accepted" if gate.details["accepted"] else "refused"


def write_html(config: Config, days: Sequence[datetime.date], path: Path) -> None:
    """Write the report as one HTML page."""
    html = render_report(f"{config.name}: {days[0]} to {days[-1]}", day_reports(config, days))
    write_atomically(path.resolve(), html.encode())
