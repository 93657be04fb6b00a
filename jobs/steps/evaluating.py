"""Labelled rows scored through a bundle, and measured: the work that evaluate and reevaluate share."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pnn_gluon.pipeline.details import EvaluationDetails
from pnn_gluon.pipeline.tables import METRICS_FILE, PREDICTIONS_FILE

if TYPE_CHECKING:
    from pnn_gluon.config import EngineConfig


class Measured(NamedTuple):
    """Rows that were measured, the metrics, and what their last bits depend on."""

    rows: int
    details: EvaluationDetails
    last_bits: Mapping[str, str]


def evaluate_rows(engine: "EngineConfig", bundle_folder: Path, rows: Path, folder: Path) -> Measured:
    """Score labelled rows through a bundle: the predictions, the metrics, and the metrics as details.

    `new_values` are the metrics of the rows with a value that the model's map does not have and scores as *other*.
    """
    from pnn_gluon.evaluation.metrics import ClickMetrics
    from pnn_gluon.serving.bundle import Bundle
    from pnn_gluon.serving.scoring import score_batches
    from pnn_gluon.store.tables import TableWriter

    bundle, metrics, new_values = Bundle.load(bundle_folder), ClickMetrics(), ClickMetrics()
    with (
        TableWriter(folder / PREDICTIONS_FILE) as writer,
        score_batches(bundle, engine, rows, ("row_id", "label")) as batches,
    ):
        for batch in batches:
            writer.write(batch.arrow())
            label = batch.columns["label"].to_numpy()
            measured = (label, batch.logit, batch.probability, batch.calibrated_logit)
            metrics = metrics.update(*measured)
            new_values = new_values.update(*(values[batch.new_value] for values in measured))
    details = EvaluationDetails(
        model_day=bundle.card.model_day,
        summary=metrics.summary(),
        new_values=new_values.summary(),
        notes=metrics.warnings(),
        reliability=metrics.reliability(),
    )
    text = json.dumps(details.to_json(), indent=1, sort_keys=True, allow_nan=False)
    (folder / METRICS_FILE).write_text(text + "\n")
    return Measured(int(metrics.summary()["rows"] or 0), details, bundle.last_bits)
