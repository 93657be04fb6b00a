"""The data of the day against the days before, and its logs against its requests -> what is not as it was.

A finding of level `fail` refuses the day: it is not trained on. Map and counts go on, and so does the model in force.
"""

import dataclasses
import datetime
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.steps.ingest import raw_lines, targets_in
from pnn_gluon.errors import InputError
from pnn_gluon.pipeline.details import CheckDetails
from pnn_gluon.pipeline.inputs import Need, RequestsIfThere
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.steps import CHECKED_BEFORE, COPIED_LOGS, COUNTED_BEFORE
from pnn_gluon.pipeline.tables import COUNTS, COUNTS_FILE, PROFILE_FILE, ROWS, ROWS_FILE
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.store.parts import parts_in
from pnn_gluon.temporary import temporary_folder

if TYPE_CHECKING:
    from pnn_gluon.checks.findings import Measured
    from pnn_gluon.checks.profile import DayProfile

log = logging.getLogger(__name__)


def build(inputs: Inputs, folder: Path) -> Built:
    """Compare the day's data, and keep what the days after it are compared with."""
    from pnn_gluon.checks.field_statistics import Numbers, field_statistics
    from pnn_gluon.checks.findings import findings, of_copies
    from pnn_gluon.checks.profile import profile_rows

    rows = inputs[Need(ROWS)]
    if not rows.rows:
        return kept(f"no rows of {inputs.day}", CheckDetails(findings=(), reasons=(), days=()))
    weighted = inputs.config.source.weights is not None
    fields = inputs.config.fields
    numbers = {field.name: Numbers() for field in fields if field.kind == "numeric"}
    profile = profile_rows(fields, rows.parts(ROWS_FILE), rows.details.rejects, weighted, numbers)
    if rows.details.halves is not None:
        profile = dataclasses.replace(profile, lines=rows.rows - rows.details.halves)
    profile.save(folder / PROFILE_FILE)
    days, notes = _days_before(inputs), []
    measured = [*of_copies(inputs[COPIED_LOGS]), *_against_days(inputs, profile, days)]
    if not days:
        notes.append("no day before to compare with: none was checked and passed")
    try:
        measured += _against_requests(inputs, profile, folder)
    except InputError as error:  # score refuses them, too; the logs are judged all the same
        log.warning("check %s: %s", inputs.day, error)
        notes.append("the requests of the day cannot be read, and were not compared; the log says why")
    found = findings(inputs.config.checks, measured)
    reasons = [finding.words for finding in found if finding.level == "fail"]
    for finding in found:
        log.info("check %s: %s: %s", inputs.day, finding.level, finding.words)
    for note in notes:
        log.info("check %s: %s", inputs.day, note)
    details = CheckDetails(
        findings=[finding.to_json() for finding in found],
        reasons=reasons,
        days=[str(day) for day in days],
        notes=notes,
        fields=field_statistics(fields, numbers, profile.missing, inputs[Need(COUNTS)].details.fields),
    )
    return Built(rows.rows, details)


def _days_before(inputs: Inputs) -> list[datetime.date]:
    """The days of the window that have rows, and were not refused themselves."""
    checked, counted = inputs[CHECKED_BEFORE], inputs[COUNTED_BEFORE]
    return [day for day, each in checked.items() if day in counted and each.kept is None and not each.details.refused]


def _against_days(inputs: Inputs, profile: "DayProfile", days: list[datetime.date]) -> "Iterator[Measured]":
    from pnn_gluon.checks.findings import of_days
    from pnn_gluon.checks.profile import DayProfile
    from pnn_gluon.checks.shifts import shifts

    if not days:
        return
    config, checked, counted = inputs.config, inputs[CHECKED_BEFORE], inputs[COUNTED_BEFORE]
    before = [DayProfile.load(checked[day].file(PROFILE_FILE)) for day in days]
    counts = [counted[day].file(COUNTS_FILE) for day in days]
    moved = shifts(config.engine, [inputs[Need(COUNTS)].file(COUNTS_FILE)], counts)
    weekday = "weekday" if config.source.time_columns else ""
    yield from of_days(config.fields, profile, before, moved, weekday)


def _against_requests(inputs: Inputs, profile: "DayProfile", folder: Path) -> "Iterator[Measured]":
    """The requests are read again, since nothing of them but their scores is kept."""
    from pnn_gluon.checks.findings import of_requests
    from pnn_gluon.checks.profile import profile_rows
    from pnn_gluon.checks.shifts import shifts
    from pnn_gluon.data.counting import count_values
    from pnn_gluon.data.ingest import ingest_requests

    config = inputs.config
    if not inputs[RequestsIfThere()] or not _wanted(inputs):
        return
    with temporary_folder(folder, "requests-") as temporary:
        targets, counts = targets_in(temporary), temporary / COUNTS_FILE
        report = ingest_requests(raw_lines(config), config.engine, inputs.day, targets)
        if not report.rows:
            return
        rows = parts_in(targets.rows)
        requests = profile_rows(config.fields, rows, report.rejects)
        count_values(config.fields, config.engine, rows, counts, labelled=False)
        moved = shifts(config.engine, [inputs[Need(COUNTS)].file(COUNTS_FILE)], [counts])
        yield from of_requests(config.fields, profile, requests, moved)


def _wanted(inputs: Inputs) -> bool:
    """Whether any field's skew is looked at."""
    checks = inputs.config.checks
    return any(checks.rule("skew", field.name).level != "off" for field in inputs.config.fields)
