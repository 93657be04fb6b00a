"""Rows of the day -> train, calibrate and gate shares, with the train negatives down-sampled."""

import dataclasses
import logging
from pathlib import Path

from pnn_gluon.pipeline.details import SampleDetails
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.tables import ROWS, ROWS_FILE, SHARES_FILE
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.store.parts import parts_in
from pnn_gluon.store.store import link_file

log = logging.getLogger(__name__)


def build(inputs: Inputs, folder: Path) -> Built:
    """Split by a hash of the row id and keep negatives of the train share at the configured rate."""
    from pnn_gluon.data.sampling import sample_rows

    config = inputs.config
    for path in inputs[Need(ROWS)].parts(ROWS_FILE):
        link_file(path, folder / path.name)
    files = parts_in(folder / ROWS_FILE), folder / SHARES_FILE
    result = sample_rows(config.sampling, config.engine, *files, weighted=config.source.weights is not None)
    shares = (f"{rows:,}" for rows in (result.train, result.calibrate, result.gate))
    log.info("sample %s: %s train, %s calibrate, %s gate", inputs.day, *shares)
    return Built(result.rows, SampleDetails(**dataclasses.asdict(result), rate=inputs.config.sampling.negative_rate))
