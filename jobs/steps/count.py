"""Rows of the day -> impressions and clicks of every value of every field."""

import dataclasses
import logging
from pathlib import Path

from pnn_gluon.pipeline.details import CountDetails
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.tables import COUNTS_FILE, ROWS, ROWS_FILE
from pnn_gluon.pipeline.work import Inputs

log = logging.getLogger(__name__)


def build(inputs: Inputs, folder: Path) -> Built:
    """Count; a window of days is a sum of such counts."""
    from pnn_gluon.data.counting import count_values

    config, rows = inputs.config, inputs[Need(ROWS)].parts(ROWS_FILE)
    result = count_values(
        config.fields, config.engine, rows, folder / COUNTS_FILE, weighted=config.source.weights is not None
    )
    log.info("count %s: %s values", inputs.day, f"{result.values:,}")
    return Built(result.values, CountDetails(**dataclasses.asdict(result)))
