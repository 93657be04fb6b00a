"""The day's model, its sampling correction and a calibrator fitted on the calibrate share -> the candidate bundle."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnn_gluon import __version__
from pnn_gluon.pipeline.details import BundleDetails, ModelDetails, Summary
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.steps import REFUSED_TO_CALIBRATE
from pnn_gluon.pipeline.tables import MAP_FILE, MAPS, MODELS, SHARD_SUFFIX, SHARDS
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.store.store import link_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pnn_gluon.evaluation.segments import RowSegments
    from pnn_gluon.serving.bundle import BundleCard

log = logging.getLogger(__name__)


def build(inputs: Inputs, folder: Path) -> Built:
    """Fit the calibrator at the natural rate and put the bundle together."""
    from pnn_gluon.evaluation.calibration import correct_sampling, uncalibratable
    from pnn_gluon.evaluation.fitted_calibration import fit_calibration
    from pnn_gluon.evaluation.metrics import ClickMetrics
    from pnn_gluon.serving.bundle import write_bundle
    from pnn_gluon.training.families import family_of
    from pnn_gluon.training.history import as_mappings

    calibration, model = inputs.config.calibration, inputs[Need(MODELS)]
    if model.kept is not None:
        return kept(f"no model: {model.kept}")
    days, label, weight = _calibrate_share(inputs)
    if reason := uncalibratable(calibration.method, label, weight) if len(label) else "no rows in the calibrate shares":
        return kept(reason)
    for file in model.manifest.files:
        link_file(model.file(file.name), folder / file.name)
    link_file(inputs[Need(MAPS)].file(MAP_FILE), folder / MAP_FILE)
    logit, segment = _scored(folder, model.details.model, days, calibration.segment)
    corrected = correct_sampling(logit, model.details.rate)
    fitted = fit_calibration(calibration.method, corrected, label, calibration.min_clicks, segment, weight)
    answers = fitted.calibration.probability(corrected, segment), fitted.calibration.logit(corrected, segment)
    metrics = ClickMetrics().update(label, logit, *answers, weight)
    summary = metrics.summary()
    write_bundle(folder, _card(inputs, model, summary), fitted.calibration, as_mappings(model.details.history))
    log.info("calibrate %s: %s on %s rows: %s", inputs.day, calibration.method, f"{len(label):,}", summary)
    notes = [*fitted.notes, *metrics.warnings()]
    for told in (*fitted.told(), *notes):
        log.info("calibrate %s: %s", inputs.day, told)
    details = BundleDetails(
        summary=summary,
        notes=notes,
        model_day=str(inputs.day),
        map_day=str(inputs.day),
        calibration=fitted.details,
    )
    name = model.details.model["name"]
    return Built(len(label), details, family_of(name).last_bits(name))


def _calibrate_share(inputs: Inputs) -> "tuple[list[NDArray[np.int32]], NDArray[np.uint8], NDArray[np.uint32] | None]":
    """Ids, part by part, labels and weights, if any, of the calibrate shares of the window, without refused days."""
    import numpy as np

    from pnn_gluon.data.shards import open_shard

    shards = inputs[Need(SHARDS)]
    days = sorted(shards.details.samples)[-inputs.config.calibration.window_days :]
    refused, weighted = {str(day) for day in inputs[REFUSED_TO_CALIBRATE]}, False
    parts, weights = [], []
    for path in (path for day in days if day not in refused for path in shards.parts(f"{day}{SHARD_SUFFIX}")):
        with open_shard(path) as shard:
            parts.append(shard.read("calibrate"))
            weight = shard.weights("calibrate")
            weights.append(np.ones(len(parts[-1][1]), np.uint32) if weight is None else weight)
            weighted |= shard.weighted
    labels = [label for _, label in parts] or [np.empty(0, np.uint8)]
    return [ids for ids, _ in parts if len(ids)], np.concatenate(labels), np.concatenate(weights) if weighted else None


def _scored(
    folder: Path, model: Mapping[str, Any], days: "list[NDArray[np.int32]]", field: str | None
) -> "tuple[NDArray[np.float32], RowSegments | None]":
    """Raw logits of encoded rows by the model in the folder, and their segments by a field."""
    import numpy as np

    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.serving.row_segments import row_segments
    from pnn_gluon.training.families import family_of

    feature_map = FeatureMap.load(folder / MAP_FILE)
    scorer = family_of(model["name"]).load(folder, model, feature_map.layout)
    logit = np.concatenate([scorer.logits(ids) for ids in days])
    return logit, None if field is None else row_segments(feature_map, field, *days)


def _card(inputs: Inputs, model: Partition[ModelDetails], summary: Summary) -> "BundleCard":
    from pnn_gluon.serving.bundle import BundleCard
    from pnn_gluon.training.families import family_of

    feature_map = inputs[Need(MAPS)]
    return BundleCard(
        model=model.details.model,
        model_day=str(inputs.day),
        map_day=str(feature_map.day),
        map_sha256=feature_map.sha256(MAP_FILE),
        parameters_sha256=model.sha256(family_of(model.details.model["name"]).parameters_file()),
        rate=model.details.rate,
        metrics=summary,
        config=inputs.options,
        pnn_gluon=__version__,
    )
