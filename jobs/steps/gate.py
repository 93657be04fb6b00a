"""The candidate against the champion and absolute limits, on the gate share that neither has seen."""

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnn_gluon.pipeline.details import GateDetails
from pnn_gluon.pipeline.inputs import LabelledOver, Need
from pnn_gluon.pipeline.step import Built, kept
from pnn_gluon.pipeline.steps import CHAMPION_BEFORE, REFUSED_TO_GATE
from pnn_gluon.pipeline.tables import BUNDLES, SAMPLE_FILE
from pnn_gluon.pipeline.work import Inputs

if TYPE_CHECKING:
    import pyarrow as pa

    from pnn_gluon.evaluation.gate import GateDecision, GateRules, Scores
    from pnn_gluon.evaluation.identity import Identities

log = logging.getLogger(__name__)

_ASKING = {"approval", "approval_mean_move", "approval_p99_move"}
"""Options about whom to ask, which are no limits of the gate."""


def build(inputs: Inputs, folder: Path) -> Built:
    """Judge, and keep the numbers and the reasons."""
    from pnn_gluon.evaluation.gate import judge

    if reason := _unjudged(inputs):
        return kept(reason, GateDetails(accepted=False, reasons=[reason], measures={}))
    rows, candidate, made_by = _scored(inputs, inputs[Need(BUNDLES)].folder)
    champion_bundle, champion = inputs.bundle_in_force(inputs[CHAMPION_BEFORE]), None
    if champion_bundle is not None:
        _, champion, champion_made_by = _scored(inputs, champion_bundle)
        made_by = champion_made_by | made_by
    slices = {name: rows[name].to_numpy(zero_copy_only=False) for name in inputs.config.gate.slices}
    decision = judge(_rules(inputs), rows["label"].to_numpy(), candidate, champion, slices, _clusters(inputs, rows))
    for note in decision.measures["notes"]:
        log.info("gate %s: %s", inputs.day, note)
    for reason in decision.reasons:
        log.info("gate %s: refused: %s", inputs.day, reason)
    return Built(rows.num_rows, _asked(inputs, decision, candidate, champion), made_by)


def _asked(inputs: Inputs, decision: "GateDecision", candidate: "Scores", champion: "Scores | None") -> GateDetails:
    """The decision, and whether a person is asked about it."""
    from pnn_gluon.evaluation.score_move import ScoreMove, asking

    details = GateDetails(**dataclasses.asdict(decision))
    gate = inputs.config.gate
    limits = ScoreMove(gate.approval_mean_move, gate.approval_p99_move)
    asked = asking(gate.approval, limits, decision, candidate, champion)
    if asked is None:
        return details
    log.info("gate %s: %s is asked: %s", inputs.day, "a person" if asked.asks else "nobody", asked.why)
    move = {} if asked.move is None else {"move": dataclasses.asdict(asked.move)}
    return dataclasses.replace(details, measures={**details.measures, **move}, asks=asked.asks, why_asked=asked.why)


def _samples(inputs: Inputs) -> list[Path]:
    """Those of the window, without days whose data were refused."""
    refused, window = inputs[REFUSED_TO_GATE], inputs[LabelledOver("gate.window_days")]
    return [sample.partition.file(SAMPLE_FILE) for day, sample in window.items() if day not in refused]


def _unjudged(inputs: Inputs) -> str:
    """Why there is nothing to judge, or nothing to judge it by; empty when there is."""
    if (reason := inputs[Need(BUNDLES)].kept) is not None:
        return f"no candidate: {reason}"
    counts = [_gate_clicks(sample) for sample in _samples(inputs)]
    rows, positives = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    if 0 < positives < rows:
        return ""
    return f"{positives:,} clicks in {rows:,} rows of the gate shares: nothing to judge by"


def _gate_clicks(sample: Path) -> tuple[int, int]:
    """Rows of the gate share of a sample, and how many of them are clicks."""
    import pyarrow.parquet as pq

    rows = positives = 0
    with pq.ParquetFile(sample) as file:
        for batch in file.iter_batches(columns=["label", "share"]):
            label = batch["label"].to_numpy()[batch["share"].to_numpy(zero_copy_only=False) == "gate"]
            rows, positives = rows + len(label), positives + int(label.sum())
    return rows, positives


def _scored(inputs: Inputs, bundle_folder: Path) -> "tuple[pa.Table, Scores, dict[str, str]]":
    """The rows of the gate shares, what a bundle says about them, and what the last bits of that depend on."""
    import numpy as np
    import pyarrow as pa

    from pnn_gluon.evaluation.gate import Scores
    from pnn_gluon.serving.bundle import Bundle
    from pnn_gluon.serving.scoring import score_batches

    bundle = Bundle.load(bundle_folder)
    cluster = inputs.config.evaluation.cluster
    columns = tuple(dict.fromkeys(("label", *inputs.config.gate.slices, *(("row_id", cluster) if cluster else ()))))
    found, calibrated = [], []
    for sample in _samples(inputs):
        with score_batches(bundle, inputs.config.engine, sample, columns, "share = 'gate'") as batches:
            for batch in batches:
                found.append(batch.arrow())
                calibrated.append(batch.calibrated_logit)
    rows = pa.Table.from_batches(found)
    logit, probability = rows["logit"].to_numpy(), rows["probability"].to_numpy()
    return rows, Scores(logit, probability, np.concatenate(calibrated)), bundle.last_bits


def _clusters(inputs: Inputs, rows: "pa.Table") -> "Identities | None":
    from pnn_gluon.evaluation.identity import unit_identities

    cluster = inputs.config.evaluation.cluster
    return None if cluster is None else unit_identities(rows["row_id"].to_pylist(), rows[cluster].to_pylist())


def _rules(inputs: Inputs) -> "GateRules":
    from pnn_gluon.evaluation.gate import GateRules

    gate = inputs.config.gate
    rules: dict[str, Any] = gate.model_dump(exclude={"slices", "window_days", "pcoc_low", "pcoc_high", *_ASKING})
    return GateRules(pcoc_range=(gate.pcoc_low, gate.pcoc_high), **rules)
