"""Labelled rows scored through a bundle, and measured: the work that evaluate and reevaluate share."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jobs.steps.slicing import Slicing
from pnn_gluon.pipeline.details import EvaluationDetails
from pnn_gluon.pipeline.tables import METRICS_FILE, PREDICTIONS_FILE

if TYPE_CHECKING:
    from pnn_gluon.config import Config, EvaluationConfig
    from pnn_gluon.evaluation.day_metrics import DayMetrics
    from pnn_gluon.evaluation.identity import Identities
    from pnn_gluon.evaluation.metrics import ClickMetrics
    from pnn_gluon.store.parts import Files

SHOWN_SLICES = 3
"""The worst, in the notes of the day."""
PREDICTED = ["row_id", "label", "logit", "probability"]
"""Columns of the predictions."""


class Measured(NamedTuple):
    """Rows that were measured, the metrics, and what their last bits depend on."""

    rows: int
    details: EvaluationDetails
    last_bits: Mapping[str, str]


def evaluate_rows(config: "Config", bundle_folder: Path, rows: "Files", folder: Path) -> Measured:
    """Score labelled rows through a bundle: the predictions, the metrics, and the metrics as details.

    `new_values` are the metrics of the rows with a value that the model's map does not have and scores as *other*.
    """
    from pnn_gluon.data.sampled_rows import with_gaps
    from pnn_gluon.evaluation.calibration import correct_sampling
    from pnn_gluon.evaluation.day_metrics import DayMetrics
    from pnn_gluon.evaluation.log_odds import sigmoid
    from pnn_gluon.evaluation.metrics import ClickMetrics, Ece
    from pnn_gluon.serving.bundle import Bundle
    from pnn_gluon.serving.scoring import score_batches
    from pnn_gluon.store.tables import TableWriter

    bundle, metrics, new_values, before = Bundle.load(bundle_folder), DayMetrics(), ClickMetrics(), Ece()
    slicing = Slicing.of(config, rows)
    slices, scored, weighted = slicing.empty(), 0, config.source.weights is not None
    predicted = [*PREDICTED, *(["weight"] if weighted else [])]
    with (
        TableWriter(folder / PREDICTIONS_FILE, plain=("row_id",), rising=("line",)) as writer,
        score_batches(bundle, config.engine, with_gaps(rows), _columns(config.evaluation, weighted)) as batches,
    ):
        for batch in batches:
            writer.write(batch.arrow().select(predicted))
            scored += len(batch.logit)
            weight = batch.columns["weight"].to_numpy().astype(float) if weighted else None
            measured = batch.columns["label"].to_numpy(), batch.logit, batch.probability, batch.calibrated_logit
            unit, groups = _units(config.evaluation, batch.columns)
            metrics = metrics.update(unit, groups, *measured, weight)
            slices = slices.update(slicing.where(batch), unit, measured[0].astype(float), *measured[2:], weight)
            before = before.update(measured[0], sigmoid(correct_sampling(batch.logit, bundle.card.rate)), weight)
            new = batch.new_value
            label, logit, probability, calibrated = (values[new] for values in measured)
            new_weight = None if weight is None else weight[new]
            new_values = new_values.update(label, logit, probability, calibrated, new_weight)
    details = _told(bundle.card.model_day, metrics, new_values, config)
    found = slices.told(config.evaluation.min_clicks)
    details = dataclasses.replace(details, notes=[*(details.notes or ()), *_worst(found)])
    told = {**details.to_json(), "slices": found, "reliability_before": before.table()}
    (folder / METRICS_FILE).write_text(json.dumps(told, indent=1, sort_keys=True, allow_nan=False) + "\n")
    return Measured(scored, details, bundle.last_bits)


def _worst(slices: Sequence[Mapping[str, Any]]) -> list[str]:
    """The slices that are off the most, in words."""
    from pnn_gluon.evaluation.shown_value import shown_value

    return [
        f"slice {each['by']} = {shown_value(each['value'])}: PCOC {each['pcoc']:.3f} "
        f"({each['low']:.3f} to {each['high']:.3f}) on {each['rows']:,} rows"
        for each in slices[:SHOWN_SLICES]
        if each["found"]
    ]


def _columns(evaluation: "EvaluationConfig", weighted: bool) -> tuple[str, ...]:
    own = ("row_id", "label", *(["weight"] if weighted else []), *([evaluation.cluster] if evaluation.cluster else []))
    return tuple(dict.fromkeys((*own, *evaluation.auc_by, *evaluation.slices)))


def _units(evaluation: "EvaluationConfig", columns: Mapping[str, Any]) -> "tuple[Identities, dict[str, Identities]]":
    """What each row of a batch is drawn by, and its group by field."""
    from pnn_gluon.evaluation.identity import unit_identities, value_identities

    clusters = columns[evaluation.cluster].to_pylist() if evaluation.cluster else None
    groups = {name: value_identities(columns[name].to_pylist()) for name in evaluation.auc_by}
    return unit_identities(columns["row_id"].to_pylist(), clusters), groups


def _told(model_day: str, metrics: "DayMetrics", new_values: "ClickMetrics", config: "Config") -> EvaluationDetails:
    evaluation = config.evaluation
    intervals, notes = metrics.intervals(
        evaluation.cluster is not None or config.source.weights is not None,
        evaluation.bootstrap_repeats,
        evaluation.min_clicks,
    )
    return EvaluationDetails(
        model_day=model_day,
        summary=metrics.summary(),
        new_values=new_values.summary(),
        notes=[*metrics.clicks.warnings(), *notes],
        reliability=metrics.clicks.reliability(),
        intervals=intervals,
        brier_parts=metrics.brier_parts(),
        auc_by=metrics.auc_by() or None,
    )
