"""The day's model, its sampling correction and a calibrator fitted on the calibrate share -> the candidate bundle."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.reading import Reading, kept_reason
from jobs.step import Built, Report, Step, kept
from pnn_gluon import __version__
from pnn_gluon.store.manifest import Manifest
from pnn_gluon.store.store import link_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pnn_gluon.serving.bundle import BundleCard

SECTIONS = ("source", "fields", "sampling", "feature_map", "model", "training", "calibration")


def reads(reading: Reading) -> None:
    """The model, its map, and the encoded calibrate shares."""
    reading.need("models")
    reading.need("maps")
    reading.need("shards")


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Fit the calibrator at the natural rate and put the bundle together."""
    from pnn_gluon.evaluation.calibration import (
        calibration_note,
        correct_sampling,
        fit_calibrator,
        uncalibratable,
    )
    from pnn_gluon.evaluation.metrics import ClickMetrics
    from pnn_gluon.serving.bundle import write_bundle
    from pnn_gluon.training.scorer import last_bits

    config, store, model = reading.config, reading.store, reading.need("models")
    if (reason := kept_reason(model.details)) is not None:
        return kept(f"no model: {reason}")
    days, label = _calibrate_share(reading)
    method, min_clicks = config.calibration.method, config.calibration.min_clicks
    if not len(label):
        return kept("no rows in the calibrate shares")
    if reason := uncalibratable(method, label):
        return kept(reason)
    for file in model.files:
        link_file(store.folder(model) / file.name, folder / file.name)
    link_file(store.folder(reading.need("maps")) / "map.h5", folder / "map.h5")
    logit = _scored(folder, model.details["model"], days)
    corrected = correct_sampling(logit, model.details["rate"])
    calibrator = fit_calibrator(method, corrected, label, min_clicks)
    probability = calibrator.probability(corrected)
    metrics = ClickMetrics().update(label, logit, probability, calibrator.logit(corrected))
    summary = metrics.summary()
    write_bundle(folder, _card(reading, model, summary), calibrator)
    report(f"calibrate {reading.day}: {method} on {len(label):,} rows: {summary}")
    notes = [note for note in (calibration_note(method, label, min_clicks), *metrics.warnings()) if note]
    for note in notes:
        report(f"calibrate {reading.day}: {note}")
    details = {"summary": summary, "notes": notes, "model_day": str(reading.day), "map_day": str(reading.day)}
    return Built(len(label), details, last_bits(model.details["model"]["name"]))


def _calibrate_share(reading: Reading) -> "tuple[list[NDArray[np.int32]], NDArray[np.uint8]]":
    """Ids, day by day, and labels of the calibrate shares of the calibration window."""
    import numpy as np

    from pnn_gluon.data.shards import open_shard

    shards = reading.store.folder(reading.need("shards"))
    days = sorted(reading.need("shards").details["samples"])[-reading.config.calibration.window_days :]
    parts = []
    for day in days:
        with open_shard(shards / f"{day}.h5") as shard:
            parts.append(shard.read("calibrate"))
    return [ids for ids, _ in parts if len(ids)], np.concatenate([label for _, label in parts])


def _scored(folder: Path, model: Mapping[str, Any], days: "list[NDArray[np.int32]]") -> "NDArray[np.float32]":
    """Raw logits of encoded rows by the model in the folder."""
    import numpy as np

    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.training.scorer import load_scorer

    scorer = load_scorer(folder, model, FeatureMap.load(folder / "map.h5").layout)
    return np.concatenate([scorer.logits(ids) for ids in days])


def _card(reading: Reading, model: Manifest, summary: Mapping[str, object]) -> "BundleCard":
    from pnn_gluon.serving.bundle import MAP, BundleCard
    from pnn_gluon.training.scorer import parameters_file

    feature_map, parameters = reading.need("maps"), parameters_file(model.details["model"]["name"])
    whole = reading.config.model_dump(mode="json")
    return BundleCard(
        model=model.details["model"],
        model_day=str(reading.day),
        map_day=str(feature_map.day),
        map_sha256=next(file.sha256 for file in feature_map.files if file.name == MAP),
        parameters_sha256=next(file.sha256 for file in model.files if file.name == parameters),
        rate=model.details["rate"],
        metrics=summary,
        config={section: whole[section] for section in SECTIONS},
        pnn_gluon=__version__,
    )


STEP = Step("calibrate", "bundles", SECTIONS, reads, build)
