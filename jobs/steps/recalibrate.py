"""The model in force with a calibrator refitted on matured labels; no retraining.

The next day's promote takes the new bundle up if it keeps that model.
"""

import dataclasses
from pathlib import Path
from typing import TypeAlias

from jobs.reading import Reading
from jobs.step import Built, Report, Step, kept
from jobs.steps.promote import NONE
from jobs.steps.serving_model import champion_folder
from pnn_gluon.store.store import link_file

Summary: TypeAlias = dict[str, float | int | None]


def reads(reading: Reading) -> None:
    """The model in force and the matured sample."""
    reading.need("champions")
    reading.need("matured")


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Fit the calibrator on the calibrate share of the matured day, which no model trains on."""
    from pnn_gluon.evaluation.calibration import CannotCalibrate
    from pnn_gluon.serving.bundle import BundleCard
    from pnn_gluon.training.scorer import last_bits

    champion, matured = reading.need("champions"), reading.need("matured")
    source = champion_folder(reading.store, champion)
    if source is None or matured.details["day"] is None:
        report(f"recalibrate {reading.day}: nothing to recalibrate yet")
        return Built(0, {"champion": None, **NONE})
    sample = reading.store.folder(matured) / "sample.parquet"
    try:
        before, after, rows, note = _refit(reading, source, sample, folder)
    except CannotCalibrate as error:
        return kept(str(error), champion=None, **NONE)
    report(f"recalibrate {reading.day}: pcoc {before['pcoc']} -> {after['pcoc']} on {rows:,} rows")
    if note:
        report(f"recalibrate {reading.day}: {note}")
    pointer = {key: champion.details[key] for key in NONE}
    days = {key: pointer[key] for key in ("model_day", "map_day")}
    details = {"champion": pointer, "before": before, "after": after, "notes": [note] if note else [], **days}
    return Built(rows, details, last_bits(BundleCard.read(folder).model["name"]))


def _refit(reading: Reading, source: Path, sample: Path, folder: Path) -> tuple[Summary, Summary, int, str]:
    """The bundle again with a new calibrator; summaries before and after on the rows of the fit, and a note on it."""
    import numpy as np

    from pnn_gluon.evaluation.calibration import CannotCalibrate, calibration_note, correct_sampling, fit_calibrator
    from pnn_gluon.evaluation.metrics import ClickMetrics
    from pnn_gluon.serving.bundle import CALIBRATOR, CARD, Bundle, write_bundle
    from pnn_gluon.warehouse.duckdb_engine import connect

    bundle = Bundle.load(source)
    with connect(reading.config.engine) as connection:
        scored = list(bundle.score(connection, sample, ("label",), "share = 'calibrate'"))
    if not scored:
        raise CannotCalibrate("no rows in the calibrate share of the matured day")
    logit = np.concatenate([batch.logit for batch in scored])
    label = np.concatenate([np.asarray(batch.columns["label"]) for batch in scored])
    corrected = correct_sampling(logit, bundle.card.rate)
    calibration = reading.config.calibration
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


STEP = Step("recalibrate", "recalibrated", ("calibration",), reads, build)
