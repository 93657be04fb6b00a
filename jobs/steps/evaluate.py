"""The model that was in force during the day, on every row of the day: next-day metrics at the natural rate."""

import logging
from pathlib import Path

from jobs.steps.evaluating import evaluate_rows
from pnn_gluon.pipeline.details import EvaluationDetails
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.steps import CHAMPION_BEFORE
from pnn_gluon.pipeline.tables import ROWS, ROWS_FILE
from pnn_gluon.pipeline.work import Inputs

log = logging.getLogger(__name__)

NOTHING = EvaluationDetails(model_day=None, summary=None, reliability=())
"""What is told of a day on which nothing was measured."""


def build(inputs: Inputs, folder: Path) -> Built:
    """Score raw rows through the bundle, exactly as serving would, and measure."""
    rows, bundle = inputs[Need(ROWS)], inputs.bundle_in_force(inputs[CHAMPION_BEFORE])
    if bundle is None:
        log.info("evaluate %s: no model was in force yet", inputs.day)
        return Built(0, NOTHING)
    if not rows.rows:
        return kept(f"no rows of {inputs.day}", NOTHING)
    measured = evaluate_rows(inputs.config, bundle, rows.parts(ROWS_FILE), folder)
    log.info("evaluate %s: model of %s: %s", inputs.day, measured.details.model_day, measured.details.summary)
    log.info("evaluate %s: 95 %% intervals: %s", inputs.day, measured.details.intervals)
    for note in measured.details.notes or ():
        log.info("evaluate %s: %s", inputs.day, note)
    return Built(measured.rows, measured.details, measured.last_bits)
