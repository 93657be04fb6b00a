"""The candidate against the champion and absolute limits, on the gate share that neither has seen."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.reading import Reading, kept_reason
from jobs.step import Built, Report, Step, kept
from jobs.steps.serving_model import champion_folder
from pnn_gluon.store.manifest import Manifest

if TYPE_CHECKING:
    import pyarrow as pa

    from pnn_gluon.evaluation.gate import GateRules, Scores


def reads(reading: Reading) -> None:
    """The candidate, the champion of yesterday and the samples of the gate's window."""
    reading.need("bundles")
    reading.parent("champions")
    _samples(reading)


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Judge, and keep the numbers and the reasons."""
    import dataclasses

    from pnn_gluon.evaluation.gate import judge

    if reason := _unjudged(reading):
        return kept(reason, accepted=False, reasons=[reason], measures={})
    rows, candidate, made_by = _scored(reading, reading.store.folder(reading.need("bundles")))
    champion_bundle, champion = champion_folder(reading.store, reading.parent("champions")), None
    if champion_bundle is not None:
        _, champion, champion_made_by = _scored(reading, champion_bundle)
        made_by = champion_made_by | made_by
    slices = {name: rows[name].to_numpy(zero_copy_only=False) for name in reading.config.gate.slices}
    decision = judge(_rules(reading), rows["label"].to_numpy(), candidate, champion, slices)
    for note in decision.measures["notes"]:
        report(f"gate {reading.day}: {note}")
    for reason in decision.reasons:
        report(f"gate {reading.day}: refused: {reason}")
    return Built(rows.num_rows, dataclasses.asdict(decision), made_by)


def _unjudged(reading: Reading) -> str:
    """Why there is nothing to judge, or nothing to judge it by; empty when there is."""
    if (reason := kept_reason(reading.need("bundles").details)) is not None:
        return f"no candidate: {reason}"
    counts = [_gate_clicks(reading, sample) for sample in _samples(reading).values()]
    rows, positives = (sum(column) for column in zip(*counts, strict=True))
    if 0 < positives < rows:
        return ""
    return f"{positives:,} clicks in {rows:,} rows of the gate shares: nothing to judge by"


def _gate_clicks(reading: Reading, sample: Manifest) -> tuple[int, int]:
    """Rows of the gate share of a day, and how many of them are clicks."""
    import pyarrow.parquet as pq

    rows = positives = 0
    with pq.ParquetFile(reading.store.folder(sample) / "sample.parquet") as file:
        for batch in file.iter_batches(columns=["label", "share"]):
            label = batch["label"].to_numpy()[batch["share"].to_numpy(zero_copy_only=False) == "gate"]
            rows, positives = rows + len(label), positives + int(label.sum())
    return rows, positives


def _samples(reading: Reading) -> dict[datetime.date, Manifest]:
    return reading.labelled(reading.config.gate.window_days)


def _scored(reading: Reading, bundle_folder: Path) -> "tuple[pa.Table, Scores, dict[str, str]]":
    """The rows of the gate shares, what a bundle says about them, and what the last bits of that depend on."""
    import pyarrow as pa

    from pnn_gluon.evaluation.gate import Scores
    from pnn_gluon.serving.bundle import Bundle, scored_batches
    from pnn_gluon.warehouse.duckdb_engine import connect

    bundle = Bundle.load(bundle_folder)
    columns = ("label", *reading.config.gate.slices)
    samples = _samples(reading)
    with connect(reading.config.engine) as connection:
        batches = [
            batch
            for sample in samples.values()
            for batch in scored_batches(
                bundle.score(connection, reading.store.folder(sample) / "sample.parquet", columns, "share = 'gate'")
            )
        ]
    rows = pa.Table.from_batches(batches)
    logit, probability = rows["logit"].to_numpy(), rows["probability"].to_numpy()
    return rows, Scores(logit, probability, bundle.calibrated_logit(logit)), bundle.last_bits


def _rules(reading: Reading) -> "GateRules":
    from pnn_gluon.evaluation.gate import GateRules

    gate: dict[str, Any] = reading.config.gate.model_dump(exclude={"slices", "window_days", "pcoc_low", "pcoc_high"})
    return GateRules(pcoc_range=(reading.config.gate.pcoc_low, reading.config.gate.pcoc_high), **gate)


def _refused(manifest: Manifest) -> bool:
    return not manifest.details["accepted"]


STEP = Step("gate", "gates", ("gate",), reads, build, refused=_refused)
