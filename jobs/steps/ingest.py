"""Raw logs of the day -> clean typed rows and rejects.

A day whose files hold no row, and one declared as skipped, are kept: a day of no rows.
"""

import dataclasses
import datetime
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pnn_gluon.config import Config
from pnn_gluon.pipeline.details import RowsDetails
from pnn_gluon.pipeline.inputs import RawLogs
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.tables import REJECTS_FILE, ROWS_FILE
from pnn_gluon.pipeline.work import Inputs

if TYPE_CHECKING:
    from pnn_gluon.data.ingest import IngestReport, RawLines, Targets

log = logging.getLogger(__name__)


def build(inputs: Inputs, folder: Path) -> Built:
    """Parse, check and type every line; set bad ones aside with their reason."""
    result, reason = read_day(inputs.config, inputs.day, inputs[RawLogs()], folder)
    details = RowsDetails(**dataclasses.asdict(result))
    if reason is not None:
        return kept(reason, details)
    log.info("ingest %s: %s rows, %s rejects of %s lines", inputs.day, *_shown(result))
    return Built(result.rows, details)


def _shown(result: "IngestReport") -> tuple[str, str, str]:
    return f"{result.rows:,}", f"{result.rejects:,}", f"{result.lines:,}"


def read_day(
    config: Config, day: datetime.date, skipped: str | None, folder: Path
) -> "tuple[IngestReport, str | None]":
    """The rows and rejects of a day's raw logs in the folder; why there are no rows, if there are none.

    Args:
        config: Source, fields and engine.
        day: The day.
        skipped: Why the day was declared as skipped, if it was.
        folder: Where to write.
    """
    from pnn_gluon.data.ingest import ingest_logs, no_logs

    targets = targets_in(folder)
    if skipped is not None:
        return no_logs(config.fields, targets), f"declared as skipped: {skipped}"
    result = ingest_logs(raw_lines(config), config.engine, day, targets)
    return (
        result,
        None if result.rows else f"the logs of {day} hold no row ({result.lines:,} lines, {result.rejects:,} rejects)",
    )


def raw_lines(config: Config) -> "RawLines":
    """The raw lines of a pipeline."""
    from pnn_gluon.data.ingest import RawLines

    return RawLines(config.source, config.fields, config.path.parent)


def targets_in(folder: Path) -> "Targets":
    """The files of rows and rejects in the folder of a run."""
    from pnn_gluon.data.ingest import Targets

    return Targets(folder / ROWS_FILE, folder / REJECTS_FILE)
