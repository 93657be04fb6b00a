"""The days as a table and as a page, from what the store holds."""

import datetime
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from jobs.day_decision import day_decision
from pnn_gluon import __version__
from pnn_gluon.atomic import write_atomically
from pnn_gluon.config import Config
from pnn_gluon.days import plus
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.report import DayReport, render_report
from pnn_gluon.pipeline.details import BundleDetails, EvaluationDetails, GateDetails
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import Partition, open_partition
from pnn_gluon.pipeline.tables import BUNDLES, CHAMPIONS, CHECKS, EVALUATIONS, GATES, REEVALUATIONS, ROWS
from pnn_gluon.store.store import Store


def day_reports(config: Config, days: Sequence[datetime.date]) -> list[DayReport]:
    """One report for each day that was evaluated.

    Raises:
        InputError: none of the days was.
    """
    store, late = open_store(config), config.calibration.maturity_days
    reports = [report for day in days if (report := _day_report(store, day, late)) is not None]
    if not reports:
        raise InputError(
            f"{config.path}: nothing to report: no day from {days[0]} to {days[-1]} was evaluated in the store "
            f"{config.store_root}; see `pnn-gluon status --config {config.path} --day {days[0]}..{days[-1]}`"
        )
    return reports


def _day_report(store: Store, day: datetime.date, late: int) -> DayReport | None:
    evaluation, rows = open_partition(store, EVALUATIONS, day), open_partition(store, ROWS, day)
    if evaluation is None or rows is None:
        return None
    gate, bundle, details = open_partition(store, GATES, day), open_partition(store, BUNDLES, day), evaluation.details
    check = open_partition(store, CHECKS, day)
    decision = day_decision(gate, open_partition(store, CHAMPIONS, day))
    counts = {"rows": rows.rows, "positives": rows.details.positives}
    new_values = details.new_values or {}  # stores of earlier releases have no such slice and no notes
    new = {f"new_{name}": new_values.get(name) for name in ("rows", "pcoc")}
    return DayReport(
        day=str(day),
        model_day=details.model_day,
        summary={**(details.summary or counts), **new, "matured_pcoc": _matured_pcoc(store, day, late)},
        reliability=details.reliability,
        gate=decision.word,
        reasons=[*([decision.told] if decision.told else []), *(() if gate is None else gate.details.reasons)],
        notes=_notes(evaluation, bundle, gate),
        checks=() if check is None else check.details.findings,
    )


def _matured_pcoc(store: Store, day: datetime.date, late: int) -> float | None:
    """PCOC of the same model on the same day by the labels that came up to `late` days later; None until they did."""
    again = open_partition(store, REEVALUATIONS, plus(day, late)) if late else None
    if again is None or again.details.day != str(day) or again.details.summary is None:
        return None
    pcoc: float | None = again.details.summary["pcoc"]
    return pcoc


def _notes(
    evaluation: Partition[EvaluationDetails],
    bundle: Partition[BundleDetails] | None,
    gate: Partition[GateDetails] | None,
) -> list[str]:
    found = {
        "evaluate": evaluation.details.notes or (),
        "calibrate": () if bundle is None or bundle.kept is not None else bundle.details.notes,
        "gate": () if gate is None else gate.details.measures.get("notes", ()),
    }
    return [f"{step}: {note}" for step, notes in found.items() for note in notes]


def html_of(config: Config, days: Sequence[datetime.date]) -> str:
    """The report as one HTML page."""
    return render_report(f"{config.name}: {days[0]} to {days[-1]}", day_reports(config, days))


def write_html(config: Config, days: Sequence[datetime.date], path: Path) -> None:
    """Write the report as one HTML page."""
    write_atomically(path.resolve(), html_of(config, days).encode())


def made_from(config: Config, days: Sequence[datetime.date]) -> str:
    """A name for everything that the report of these days shows: while it stays, so does the page."""
    store, late = open_store(config), config.calibration.maturity_days
    read = [(table.name, day) for day in days for table in (EVALUATIONS, ROWS, CHECKS, GATES, BUNDLES, CHAMPIONS)]
    read += [(REEVALUATIONS.name, plus(day, late)) for day in days]
    manifests = [store.manifest(name, day) for name, day in read]
    shown = [None if manifest is None else [manifest.run, dict(manifest.details)] for manifest in manifests]
    told = json.dumps([__version__, config.name, [str(day) for day in days], late, shown], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()
