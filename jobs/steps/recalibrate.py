"""The model in force with a calibrator refitted on matured labels; no retraining.

The next promote takes the new bundle up if it keeps that model.
"""

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.steps.sampled import sampled_rows
from pnn_gluon.pipeline.details import RecalibratedDetails, Summary
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.tables import CHAMPIONS, MATURED
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.store.store import link_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pnn_gluon.config import CalibrationConfig, EngineConfig
    from pnn_gluon.data.sampled_rows import SampledRows
    from pnn_gluon.evaluation.fitted_calibration import FittedCalibration
    from pnn_gluon.evaluation.segments import RowSegments
    from pnn_gluon.serving.bundle import Bundle

log = logging.getLogger(__name__)

NOTHING = RecalibratedDetails(champion=None)


def build(inputs: Inputs, folder: Path) -> Built:
    """Fit the calibrator on the calibrate share of the matured day, which no model trains on."""
    from pnn_gluon.evaluation.calibration import CannotCalibrate
    from pnn_gluon.serving.bundle import BundleCard
    from pnn_gluon.training.families import family_of

    champion, matured = inputs[Need(CHAMPIONS)], inputs[Need(MATURED)]
    source = inputs.bundle_in_force(champion)
    if source is None or matured.details.day is None:
        log.info("recalibrate %s: nothing to recalibrate yet", inputs.day)
        return Built(0, NOTHING)
    config = inputs.config
    try:
        before, after, rows, fitted = _refit(config.calibration, config.engine, source, sampled_rows(matured), folder)
    except CannotCalibrate as error:
        return kept(str(error), NOTHING)
    log.info("recalibrate %s: pcoc %s -> %s on %s rows", inputs.day, before["pcoc"], after["pcoc"], f"{rows:,}")
    for told in (*fitted.told(), *fitted.notes):
        log.info("recalibrate %s: %s", inputs.day, told)
    pointer = champion.details.pointer
    details = RecalibratedDetails(
        champion=pointer,
        before=before,
        after=after,
        notes=list(fitted.notes),
        model_day=pointer.model_day,
        map_day=pointer.map_day,
        calibration=fitted.details,
    )
    name = BundleCard.read(folder).model["name"]
    return Built(rows, details, family_of(name).last_bits(name))


def _refit(
    calibration: "CalibrationConfig", engine: "EngineConfig", source: Path, sample: "list[SampledRows]", folder: Path
) -> "tuple[Summary, Summary, int, FittedCalibration]":
    """The bundle with a new calibrator; summaries before and after on the rows of the fit, how many, and the fit."""
    from pnn_gluon.evaluation.calibration import correct_sampling
    from pnn_gluon.evaluation.fitted_calibration import fit_calibration
    from pnn_gluon.evaluation.metrics import ClickMetrics
    from pnn_gluon.serving.bundle import CALIBRATOR, CARD, Bundle, write_bundle

    bundle = Bundle.load(source)
    (label, logit, *answers), weight, segment = _scored(bundle, engine, sample, calibration.segment)
    before = ClickMetrics().update(label, logit, answers[0], answers[1], weight).summary()
    corrected = correct_sampling(logit, bundle.card.rate)
    fitted = fit_calibration(calibration.method, corrected, label, calibration.min_clicks, segment, weight)
    answers = [each(corrected, segment) for each in (fitted.calibration.probability, fitted.calibration.logit)]
    after = ClickMetrics().update(label, logit, answers[0], answers[1], weight).summary()
    for path in sorted(source.iterdir()):
        if path.name not in {CALIBRATOR, CARD}:
            link_file(path, folder / path.name)
    write_bundle(folder, dataclasses.replace(bundle.card, metrics=after), fitted.calibration)
    return before, after, len(label), fitted


def _scored(
    bundle: "Bundle", engine: "EngineConfig", sample: "list[SampledRows]", field: str | None
) -> "tuple[list[NDArray[Any]], NDArray[Any] | None, RowSegments | None]":
    """Label, logit, probability, calibrated logit of the calibrate share of a sample; its weights and segments."""
    import numpy as np

    from pnn_gluon.evaluation.calibration import CannotCalibrate
    from pnn_gluon.serving.row_segments import row_segments
    from pnn_gluon.serving.scoring import score_batches

    found, segments, weighted = [], [], any(part.weighted for part in sample)
    columns = ("label", "weight") if weighted else ("label",)
    with score_batches(bundle, engine, sample, columns, "share = 'calibrate'") as batches:
        for batch in batches:
            answers = batch.logit, batch.probability, batch.calibrated_logit
            found.append((batch.columns["label"], *answers, *([batch.columns["weight"]] if weighted else [])))
            if field is not None:
                segments.append(row_segments(bundle.feature_map, field, batch.ids))
    if not found:
        raise CannotCalibrate("no rows in the calibrate share of the matured day")
    told = [np.concatenate([np.asarray(part) for part in column]) for column in zip(*found, strict=True)]
    ids, weight = [each.ids for each in segments], told.pop() if weighted else None
    return told, weight, segments[0]._replace(ids=np.concatenate(ids)) if segments else None
