"""The candidate against the champion and absolute limits, on the gate share that neither has seen."""

import dataclasses
import json
import logging
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from jobs.steps.gate_samples import GATE_SHARE, gate_samples
from pnn_gluon.pipeline.details import GateDetails
from pnn_gluon.pipeline.inputs import Need
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.steps import CHAMPION_BEFORE, SAMPLED_BEFORE
from pnn_gluon.pipeline.tables import BUNDLES, DECISION_FILE
from pnn_gluon.pipeline.work import Inputs
from pnn_gluon.report.decision import decision_lines, decision_rules

if TYPE_CHECKING:
    import pyarrow as pa

    from pnn_gluon.evaluation.gate import GateDecision, GateRules, Scores
    from pnn_gluon.evaluation.identity import Identities
    from pnn_gluon.evaluation.score_move import ScoreMove

log = logging.getLogger(__name__)


def build(inputs: Inputs, folder: Path) -> Built:
    """Judge, and keep the numbers and the reasons."""
    from pnn_gluon.evaluation.gate import Seen, judge
    from pnn_gluon.evaluation.score_move import move_of

    if reason := _unjudged(inputs):
        return kept(reason, GateDetails(accepted=False, reasons=[reason], measures={}))
    rows, candidate, made_by, new_share = _scored(inputs, inputs[Need(BUNDLES)].folder)
    champion_bundle, champion = inputs.bundle_in_force(inputs[CHAMPION_BEFORE]), None
    if champion_bundle is not None:
        _, champion, champion_made_by, _ = _scored(inputs, champion_bundle)
        made_by = champion_made_by | made_by
    slices = {name: rows[name].to_numpy(zero_copy_only=False) for name in inputs.config.gate.slices}
    clusters, seen = _clusters(inputs, rows), Seen(new_share, _usual_rows(inputs))
    weight = rows["weight"].to_numpy() if inputs.config.source.weights is not None else None
    decision = judge(_rules(inputs), rows["label"].to_numpy(), candidate, champion, slices, clusters, seen, weight)
    details = _asked(inputs, decision, move_of(decision, candidate, champion, weight))
    _tell(inputs, details)
    rules = decision_rules(details.measures)
    told = {**details.to_json(), "rules": rules}
    (folder / DECISION_FILE).write_text(json.dumps(told, indent=1, sort_keys=True, allow_nan=False) + "\n")
    return Built(rows.num_rows, details, made_by)


def _tell(inputs: Inputs, details: GateDetails) -> None:
    """The decision in the log, rule by rule."""
    for line in (*details.measures["notes"], *decision_lines(details.measures)):
        log.info("gate %s: %s", inputs.day, line)
    for reason in details.reasons:
        log.info("gate %s: refused: %s", inputs.day, reason)
    if details.asks is not None:
        log.info("gate %s: %s is asked: %s", inputs.day, "a person" if details.asks else "nobody", details.why_asked)


def _asked(inputs: Inputs, decision: "GateDecision", move: "ScoreMove | None") -> GateDetails:
    """The decision, with how far scores move, and whether a person is asked about it."""
    from pnn_gluon.evaluation.score_move import MoveLimits, asking

    gate, told = inputs.config.gate, {} if move is None else {"move": dataclasses.asdict(move)}
    details = GateDetails(**dataclasses.asdict(decision))
    details = dataclasses.replace(details, measures={**details.measures, **told})
    limits = MoveLimits(
        gate.approval_mean_move, gate.approval_p99_move, gate.approval_rank_correlation, gate.approval_overlap
    )
    asked = asking(gate.approval, limits, decision, move)
    return details if asked is None else dataclasses.replace(details, asks=asked.asks, why_asked=asked.why)


def _unjudged(inputs: Inputs) -> str:
    """Why there is nothing to judge, or nothing to judge it by; empty when there is."""
    if (reason := inputs[Need(BUNDLES)].kept) is not None:
        return f"no candidate: {reason}"
    rows, positives = _gate_clicks(inputs)
    if 0 < positives < rows:
        return ""
    return f"{positives:,} clicks in {rows:,} rows of the gate shares: nothing to judge by"


def _gate_clicks(inputs: Inputs) -> tuple[int, int]:
    """Rows of the gate shares, and how many of them are clicks."""
    from pnn_gluon.warehouse.duckdb_engine import connect, statement

    rows = positives = 0
    with connect(inputs.config.engine) as connection:
        for sample in gate_samples(inputs):
            query = statement("share_clicks", relation=sample.relation(), where=GATE_SHARE)
            ((found, clicks),) = connection.execute(query).fetchall()
            rows, positives = rows + found, positives + clicks
    return rows, positives


def _usual_rows(inputs: Inputs) -> float | None:
    """The rows of as many gate shares as are judged, by the median of the days before; None where these are unknown."""
    found = [sample.details.gate for sample in inputs[SAMPLED_BEFORE].values() if sample.kept is None]
    return median(found) * len(gate_samples(inputs)) if found else None


class _Scored(NamedTuple):
    """The rows of the gate shares, what a bundle says about them, and what the last bits of that depend on.

    `new_share` is the share of the values of categorical fields that it has no id for; None without such fields.
    """

    rows: "pa.Table"
    scores: "Scores"
    last_bits: dict[str, str]
    new_share: float | None


def _scored(inputs: Inputs, bundle_folder: Path) -> _Scored:
    """The rows of the gate shares through a bundle."""
    import numpy as np
    import pyarrow as pa

    from pnn_gluon.evaluation.gate import Scores
    from pnn_gluon.serving.bundle import Bundle
    from pnn_gluon.serving.scoring import score_batches

    bundle = Bundle.load(bundle_folder)
    cluster = inputs.config.evaluation.cluster
    units = ("row_id", "weight") if inputs.config.source.weights is not None else ("row_id",) if cluster else ()
    own = ("label", *units, *((cluster,) if cluster else ()))
    columns = tuple(dict.fromkeys((*own, *inputs.config.gate.slices)))
    found, calibrated, new = [], [], 0
    for sample in gate_samples(inputs):
        with score_batches(bundle, inputs.config.engine, sample, columns, GATE_SHARE) as batches:
            for batch in batches:
                found.append(batch.arrow())
                calibrated.append(batch.calibrated_logit)
                new += int(batch.new_fields.sum())
    rows = pa.Table.from_batches(found)
    logit, probability = rows["logit"].to_numpy(), rows["probability"].to_numpy()
    values = rows.num_rows * sum(field.kind != "numeric" for field in bundle.feature_map.fields)
    scores = Scores(logit, probability, np.concatenate(calibrated))
    return _Scored(rows, scores, bundle.last_bits, new / values if values else None)


def _clusters(inputs: Inputs, rows: "pa.Table") -> "Identities | None":
    from pnn_gluon.evaluation.identity import unit_identities

    cluster, weighted = inputs.config.evaluation.cluster, inputs.config.source.weights is not None
    if cluster is None and not weighted:
        return None
    return unit_identities(rows["row_id"].to_pylist(), None if cluster is None else rows[cluster].to_pylist())


def _rules(inputs: Inputs) -> "GateRules":
    from pnn_gluon.evaluation.gate import GateRules

    gate = inputs.config.gate
    asking = {name for name in type(gate).model_fields if name.startswith("approval")}  # no limits of the gate
    rules: dict[str, Any] = gate.model_dump(
        exclude={"slices", "trailing_days", "window_days", "pcoc_low", "pcoc_high", *asking}
    )
    return GateRules(pcoc_range=(gate.pcoc_low, gate.pcoc_high), **rules)
