"""The model that was in force during the day, on every row of the day: next-day metrics at the natural rate."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from jobs.command import main
from jobs.reading import Reading
from jobs.serving_model import champion_folder
from jobs.step import Built, Report, Step


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
        return Built(0, {"model_day": None, "summary": None, "reliability": []})
    built = evaluate_rows(reading, bundle_folder, reading.store.folder(rows) / "rows.parquet", folder)
    report(f"evaluate {reading.day}: model of {built.details['model_day']}: {built.details['summary']}")
    return built


def evaluate_rows(reading: Reading, bundle_folder: Path, rows: Path, folder: Path) -> Built:
    """Score labelled rows through a bundle: predictions.parquet, metrics.json, and the metrics as details."""
    from pnn_gluon.evaluation.metrics import ClickMetrics
    from pnn_gluon.serving.bundle import Bundle, scored_batches
    from pnn_gluon.store.tables import TableWriter
    from pnn_gluon.warehouse.duckdb_engine import connect

    bundle, metrics = Bundle.load(bundle_folder), ClickMetrics()
    with (
        connect(reading.config.engine) as connection,
        TableWriter(folder / "predictions.parquet") as writer,
        closing(scored_batches(bundle.score(connection, rows, columns=("row_id", "label")))) as batches,
    ):
        for batch in batches:
            writer.write(batch)
            label, logit, probability = (batch[name].to_numpy() for name in ("label", "logit", "probability"))
            metrics = metrics.update(label, logit, probability)
    details: dict[str, Any] = {
        "model_day": bundle.card.model_day,
        "summary": metrics.summary(),
        "reliability": metrics.reliability(),
    }
    (folder / "metrics.json").write_text(json.dumps(details, indent=1, sort_keys=True) + "\n")
    return Built(int(details["summary"]["rows"]), details, bundle.last_bits)


STEP = Step("evaluate", "evaluations", (), reads, build)

if __name__ == "__main__":
    main(STEP)
