"""The model that was in force during the day, on every row of the day: next-day metrics at the natural rate."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from jobs.reading import Reading
from jobs.step import Built, Report, Step, kept
from jobs.steps.serving_model import champion_folder

NOTHING: dict[str, Any] = {"model_day": None, "summary": None, "reliability": []}
"""The details of a day on which nothing was measured."""


def reads(reading: Reading) -> None:
    """The rows of the day and yesterday's champion."""
    reading.need("rows")
    reading.parent("champions")


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Score raw rows through the bundle, exactly as serving would, and measure."""
    rows, champion = reading.need("rows"), reading.parent("champions")
    bundle_folder = champion_folder(reading.store, champion)
    if bundle_folder is None:
        report(f"evaluate {reading.day}: no model was in force yet")
        return Built(0, NOTHING)
    if not rows.rows:
        return kept(f"no rows of {reading.day}", **NOTHING)
    built = evaluate_rows(reading, bundle_folder, reading.store.folder(rows) / "rows.parquet", folder)
    report(f"evaluate {reading.day}: model of {built.details['model_day']}: {built.details['summary']}")
    for note in built.details["notes"]:
        report(f"evaluate {reading.day}: {note}")
    return built


def evaluate_rows(reading: Reading, bundle_folder: Path, rows: Path, folder: Path) -> Built:
    """Score labelled rows through a bundle: predictions.parquet, metrics.json, and the metrics as details.

    `new_values` are the metrics of the rows with a value that the model's map does not have and scores as *other*.
    """
    from pnn_gluon.evaluation.metrics import ClickMetrics
    from pnn_gluon.serving.bundle import Bundle
    from pnn_gluon.store.tables import TableWriter
    from pnn_gluon.warehouse.duckdb_engine import connect

    bundle, metrics, new_values = Bundle.load(bundle_folder), ClickMetrics(), ClickMetrics()
    with (
        connect(reading.config.engine) as connection,
        TableWriter(folder / "predictions.parquet") as writer,
        closing(bundle.score(connection, rows, columns=("row_id", "label"))) as batches,
    ):
        for batch in batches:
            writer.write(batch.arrow())
            label, calibrated = batch.columns["label"].to_numpy(), bundle.calibrated_logit(batch.logit)
            measured = (label, batch.logit, batch.probability, calibrated)
            metrics = metrics.update(*measured)
            new_values = new_values.update(*(values[batch.new_value] for values in measured))
    details: dict[str, Any] = {
        "model_day": bundle.card.model_day,
        "summary": metrics.summary(),
        "new_values": new_values.summary(),
        "notes": metrics.warnings(),
        "reliability": metrics.reliability(),
    }
    (folder / "metrics.json").write_text(json.dumps(details, indent=1, sort_keys=True, allow_nan=False) + "\n")
    return Built(int(details["summary"]["rows"]), details, bundle.last_bits)


STEP = Step("evaluate", "evaluations", (), reads, build)
