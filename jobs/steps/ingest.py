"""Raw logs of the day -> clean typed rows and rejects.

A day whose files hold no row, and one declared as skipped, are kept: a day of no rows.
"""

import dataclasses
import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.reading import Reading
from jobs.step import Built, Report, Step, kept

if TYPE_CHECKING:
    from pnn_gluon.config import Config
    from pnn_gluon.data.ingest import IngestReport, RawLines, Targets


def reads(reading: Reading) -> None:
    """The raw files of the day."""
    reading.raw_logs(reading.day)


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Parse, check and type every line; set bad ones aside with their reason."""
    result, reason = read_day(reading, reading.day, folder)
    if reason is not None:
        return kept(reason, **dataclasses.asdict(result))
    report(f"ingest {reading.day}: {result.rows:,} rows, {result.rejects:,} rejects of {result.lines:,} lines")
    return Built(result.rows, dataclasses.asdict(result))


def read_day(reading: Reading, day: datetime.date, folder: Path) -> "tuple[IngestReport, str | None]":
    """The rows and rejects of a day's raw logs in the folder; why there are no rows, if there are none."""
    from pnn_gluon.data.ingest import ingest_logs, no_logs

    config, targets = reading.config, targets_in(folder)
    declared = reading.skipped(day)
    if declared is not None:
        return no_logs(config.fields, targets), f"declared as skipped: {declared}"
    result = ingest_logs(raw_lines(config), config.engine, day, targets)
    return (
        result,
        None if result.rows else f"the logs of {day} hold no row ({result.lines:,} lines, {result.rejects:,} rejects)",
    )


def raw_lines(config: "Config") -> "RawLines":
    """The raw lines of a pipeline."""
    from pnn_gluon.data.ingest import RawLines

    return RawLines(config.source, config.fields, config.path.parent)


def targets_in(folder: Path) -> "Targets":
    """The files of rows and rejects in the folder of a run."""
    from pnn_gluon.data.ingest import Targets

    return Targets(folder / "rows.parquet", folder / "rejects.parquet")


STEP = Step("ingest", "rows", ("source", "fields"), reads, build)
