"""The model that was in force during a past day, measured again now that the day's labels have matured."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

from jobs.steps.evaluate import NOTHING
from jobs.steps.evaluating import evaluate_rows
from pnn_gluon.pipeline.details import EvaluationDetails, ReevaluationDetails
from pnn_gluon.pipeline.inputs import InForceThen, Need
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.tables import MATURED, ROWS_FILE
from pnn_gluon.pipeline.work import Inputs

log = logging.getLogger(__name__)


def build(inputs: Inputs, folder: Path) -> Built:
    """Score the matured rows through the bundle that was in force, and measure."""
    day, matured = inputs.matured_day, inputs[Need(MATURED)]
    bundle = inputs.bundle_in_force(inputs[InForceThen()])
    shown = str(day) if day else None
    if bundle is None:
        log.info("reevaluate %s: no matured day with a model in force yet", inputs.day)
        return Built(0, _of_day(shown, NOTHING))
    rows = matured.details.rows
    if not (matured.rows if rows is None else rows):
        return kept(f"no rows of {day}", _of_day(shown, NOTHING))
    measured = evaluate_rows(inputs.config, bundle, matured.parts(ROWS_FILE), folder)
    log.info("reevaluate %s: %s: %s", inputs.day, day, measured.details.summary)
    return Built(measured.rows, _of_day(shown, measured.details), measured.last_bits)


def _of_day(day: str | None, details: EvaluationDetails) -> ReevaluationDetails:
    told: dict[str, Any] = {field.name: getattr(details, field.name) for field in dataclasses.fields(details)}
    return ReevaluationDetails(day=day, **told)
