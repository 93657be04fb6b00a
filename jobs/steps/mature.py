"""The logs of a past day read again once its labels have matured, beside the day as it was first read.

Where labels come late (`calibration.maturity_days`), these are what the day trains, calibrates and judges with. The
tables of the past day are left as they are; `pnn-gluon status` shows a day whose raw files changed as stale.
"""

import datetime
import logging
from pathlib import Path

from jobs.steps.ingest import read_day, still_holding
from pnn_gluon.pipeline.details import MaturedDetails
from pnn_gluon.pipeline.inputs import RawLogs, Saved
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.steps import step
from pnn_gluon.pipeline.tables import ROWS, ROWS_FILE, SHARES_FILE
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.store.parts import parts_in
from pnn_gluon.store.store import link_file

log = logging.getLogger(__name__)


def build(inputs: Inputs, folder: Path) -> Built:
    """Ingest and split again; what the first reading made of raw files that have not changed serves."""
    from pnn_gluon.data.sampling import sample_rows

    day = inputs.matured_day
    if day is None:
        log.info("mature %s: no day with matured labels yet", inputs.day)
        return Built(0, MaturedDetails(day=None))
    rows = _read(inputs, day, folder)
    config = inputs.config
    files = parts_in(folder / ROWS_FILE), folder / SHARES_FILE
    result = sample_rows(config.sampling, config.engine, *files, weighted=config.source.weighted)
    details = MaturedDetails(day=str(day), rows=rows, rate=config.sampling.negative_rate)
    return Built(result.rows, details) if rows else kept(f"no rows of {day}", details)


def _read(inputs: Inputs, day: datetime.date, folder: Path) -> int:
    """The rows of the day in the folder; their number.

    They are linked from its first reading if that was of the same files; else only those that changed are read again.
    """
    first = inputs[Saved(ROWS, matured=True)]
    if first is None or not inputs.made_alike(first, step("ingest")):
        skipped, earlier = inputs[RawLogs(matured=True)], still_holding(inputs, first)
        return read_day(inputs.config, day, skipped, folder, earlier)[0].rows
    for file in first.manifest.files:
        link_file(first.file(file.name), folder / file.name)
    return first.rows
