"""Raw logs of the day -> clean typed rows and rejects.

A day whose files hold no row, and one declared as skipped, are kept: a day of no rows.
"""

import dataclasses
import datetime
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pnn_gluon.config import Config
from pnn_gluon.errors import DamagedError
from pnn_gluon.pipeline.details import RowsDetails
from pnn_gluon.pipeline.inputs import LOGS, RawLogs, Saved
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.steps import step
from pnn_gluon.pipeline.tables import PARTS_FILE, REJECTS_FILE, ROWS, ROWS_FILE
from pnn_gluon.pipeline.work import Inputs

if TYPE_CHECKING:
    from pnn_gluon.data.ingest import IngestReport, RawLines, Targets
    from pnn_gluon.data.read_together import Earlier

log = logging.getLogger(__name__)


def build(inputs: Inputs, folder: Path) -> Built:
    """Parse, check and type every line; set bad ones aside with their reason."""
    earlier = still_holding(inputs, inputs[Saved(ROWS)])
    result, reason = read_day(inputs.config, inputs.day, inputs[RawLogs()], folder, earlier, inputs.late)
    told = dataclasses.asdict(result)
    inputs.hashed(told.pop("digests"))
    details = RowsDetails(**told)
    if reason is not None:
        return kept(reason, details)
    log.info("ingest %s: %s rows, %s rejects of %s lines", inputs.day, *_shown(result))
    return Built(result.rows, details)


def _shown(result: "IngestReport") -> tuple[str, str, str]:
    return f"{result.rows:,}", f"{result.rejects:,}", f"{result.lines:,}"


def still_holding(inputs: Inputs, before: Partition[RowsDetails] | None) -> "Earlier | None":
    """What an earlier reading of a day made of files that are as they were then, if that is known.

    Args:
        inputs: With the raw logs of that day as they are now.
        before: The earlier reading, if there is one.
    """
    from pnn_gluon.data.read_together import Earlier, unchanged

    if inputs.force or inputs.config.source.clicks is not None:  # clicks, whose lines may belong to any part
        return None
    told = None if before is None else _told(before)
    changed = None if before is None else inputs.changed_inputs(before, step("ingest"))
    if before is None or told is None or changed is None or not before.whole:
        return None
    names = {name.removeprefix(LOGS) for name in changed if name.startswith(LOGS)}
    if len(names) < len(changed):
        return None
    return Earlier(unchanged(told, before.parts(ROWS_FILE), names), before.file(REJECTS_FILE))


def _told(before: Partition[RowsDetails]) -> bytes | None:
    """Which files an earlier reading read together; None where it does not tell, or not what it told then."""
    try:
        return before.content(PARTS_FILE)
    except DamagedError:
        return None


def read_day(
    config: Config,
    day: datetime.date,
    skipped: str | None,
    folder: Path,
    earlier: "Earlier | None" = None,
    hashed: bool = False,
) -> "tuple[IngestReport, str | None]":
    """The rows and rejects of a day's raw logs in the folder; why there are no rows, if there are none.

    Args:
        config: Source, fields and engine.
        day: The day.
        skipped: Why the day was declared as skipped, if it was.
        folder: Where to write.
        earlier: What need not be read again.
        hashed: Whether the raw logs are hashed while they are read, as far as they can be.
    """
    from pnn_gluon.data.ingest import ingest_logs, no_logs
    from pnn_gluon.data.read_together import NOTHING

    targets = dataclasses.replace(targets_in(folder), parts=folder / PARTS_FILE)
    if skipped is not None:
        return no_logs(raw_lines(config), targets), f"declared as skipped: {skipped}"
    raw = dataclasses.replace(raw_lines(config), hashed=hashed)
    result = ingest_logs(raw, config.engine, day, targets, earlier or NOTHING)
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
