"""The model in force with a calibrator refitted on matured labels; no retraining.

The next promote takes the new bundle up if it keeps that model.
"""

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pnn_gluon.pipeline.details import RecalibratedDetails, Summary
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.tables import CHAMPIONS, MATURED, SAMPLE_FILE
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.store.store import link_file

if TYPE_CHECKING:
    from pnn_gluon.config import CalibrationConfig, EngineConfig

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
        refitted = _refit(config.calibration, config.engine, source, matured.file(SAMPLE_FILE), folder)
    except CannotCalibrate as error:
        return kept(str(error), NOTHING)
    before, after, rows, note = refitted
    log.info("recalibrate %s: pcoc %s -> %s on %s rows", inputs.day, before["pcoc"], after["pcoc"], f"{rows:,}")
    if note:
        log.info("recalibrate %s: %s", inputs.day, note)
    pointer = champion.details.pointer
    details = RecalibratedDetails(
        champion=pointer,
        before=before,
        after=after,
        notes=[note] if note else [],
        model_day=pointer.model_day,
        map_day=pointer.map_day,
    )
    name = BundleCard.read(folder).model["name"]
    return Built(rows, details, family_of(name).last_bits(name))


def _refit(
    calibration: "CalibrationConfig", engine: "EngineConfig", source: Path, sample: Path, folder: Path
) -> tuple[Summary, Summary, int, str]:
    """The bundle again with a new calibrator; summaries before and after on the rows of the fit, and a note on it."""
    import numpy as np

    from pnn_gluon.evaluation.calibration import CannotCalibrate, calibration_note, correct_sampling, fit_calibrator
    from pnn_gluon.evaluation.metrics import ClickMetrics
    from pnn_gluon.serving.bundle import CALIBRATOR, CARD, Bundle, write_bundle
    from pnn_gluon.serving.scoring import score_batches

    bundle = Bundle.load(source)
    with score_batches(bundle, engine, sample, ("label",), "share = 'calibrate'") as batches:
        scored = list(batches)
    if not scored:
        raise CannotCalibrate("no rows in the calibrate share of the matured day")
    logit = np.concatenate([batch.logit for batch in scored])
    label = np.concatenate([np.asarray(batch.columns["label"]) for batch in scored])
    corrected = correct_sampling(logit, bundle.card.rate)
    calibrator = fit_calibrator(calibration.method, corrected, label, calibration.min_clicks)
    before, after = (
        ClickMetrics().update(label, logit, each.probability(corrected), each.logit(corrected)).summary()
        for each in (bundle.calibrator, calibrator)
    )
    for path in sorted(source.iterdir()):
        if path.name not in {CALIBRATOR, CARD}:
            link_file(path, folder / path.name)
    write_bundle(folder, dataclasses.replace(bundle.card, metrics=after), calibrator)
    return before, after, len(label), calibration_note(calibration.method, label, calibration.min_clicks)
