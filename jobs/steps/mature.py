"""The logs of a past day read again once its labels have matured, beside the day as it was first read.

Where labels come late (`calibration.maturity_days`), these are what the day trains, calibrates and judges with. The
tables of the past day are left as they are; `pnn-gluon status` shows a day whose raw files changed as stale.
"""

import datetime
from pathlib import Path

from jobs.reading import Reading
from jobs.step import Built, Report, Step, kept
from jobs.steps.ingest import read_day
from pnn_gluon.days import plus
from pnn_gluon.store.store import link_file


def matured_day(reading: Reading) -> datetime.date | None:
    """The day whose labels are complete by now; None when that is before the first day."""
    day = plus(reading.day, -reading.config.calibration.maturity_days)
    return day if day >= reading.config.first_day else None


def reads(reading: Reading) -> None:
    """The raw files of the matured day."""
    day = matured_day(reading)
    if day is not None:
        reading.raw_logs(day)


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Ingest and split again; when the raw files have not changed, the first reading serves."""
    from pnn_gluon.data.sampling import sample_rows

    day = matured_day(reading)
    if day is None:
        report(f"mature {reading.day}: no day with matured labels yet")
        return Built(0, {"day": None})
    rows = _link_first_reading(reading, day, folder)
    if rows is None:
        rows = read_day(reading, day, folder)[0].rows
    config = reading.config
    result = sample_rows(config.sampling, config.engine, folder / "rows.parquet", folder / "sample.parquet")
    details = {"day": str(day), "rows": rows, "rate": config.sampling.negative_rate}
    return Built(result.rows, details) if rows else kept(f"no rows of {day}", **details)


def _link_first_reading(reading: Reading, day: datetime.date, folder: Path) -> int | None:
    """The number of rows of the first reading, if the raw files have not changed since."""
    first = reading.store.manifest("rows", day)
    if first is None or dict(first.inputs) != reading.inputs:
        return None
    if first.config != reading.config.fingerprint("source", "fields"):
        return None
    for file in first.files:
        link_file(reading.store.folder(first) / file.name, folder / file.name)
    return first.rows


STEP = Step("mature", "matured", ("source", "fields", "sampling", "calibration.maturity_days"), reads, build)
