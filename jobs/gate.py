"""The candidate against the champion and absolute limits, on the gate share that neither has seen."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.command import main
from jobs.reading import Reading
from jobs.serving_model import champion_folder
from jobs.step import Built, Report, Step
from pnn_gluon.store.manifest import Manifest

if TYPE_CHECKING:
    import pyarrow as pa

    from pnn_gluon.evaluation.gate import GateRules, Scores


def reads(reading: Reading) -> None:
    """The candidate, the champion of yesterday and the samples of the gate's window."""
    reading.need("bundles")
    reading.parent("champions")
    reading.over("samples", reading.config.gate.window_days)


def build(reading: Reading, folder: Path, report: Report) -> Built:
    """Judge, and keep the numbers and the reasons."""
    import dataclasses

    from pnn_gluon.evaluation.gate import judge

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


def _scored(reading: Reading, bundle_folder: Path) -> "tuple[pa.Table, Scores, dict[str, str]]":
    """The rows of the gate shares, what a bundle says about them, and what the last bits of that depend on."""
    import pyarrow as pa

    from pnn_gluon.evaluation.gate import Scores
    from pnn_gluon.serving.bundle import Bundle, scored_batches
    from pnn_gluon.warehouse.duckdb_engine import connect

    bundle = Bundle.load(bundle_folder)
    columns = ("label", *reading.config.gate.slices)
    samples = reading.over("samples", reading.config.gate.window_days)
    nothing = pa.table({name: pa.array([], pa.float64()) for name in (*columns, "logit", "probability")})
    with connect(reading.config.engine) as connection:
        batches = [
            batch
            for sample in samples.values()
            for batch in scored_batches(
                bundle.score(connection, reading.store.folder(sample) / "sample.parquet", columns, "share = 'gate'")
            )
        ]
    rows = pa.Table.from_batches(batches) if batches else nothing
    logit, probability = rows["logit"].to_numpy(), rows["probability"].to_numpy()
    return rows, Scores(logit, probability, bundle.calibrated_logit(logit)), bundle.last_bits


def _rules(reading: Reading) -> "GateRules":
    from pnn_gluon.evaluation.gate import GateRules

    gate: dict[str, Any] = reading.config.gate.model_dump(exclude={"slices", "window_days", "pcoc_low", "pcoc_high"})
    return GateRules(pcoc_range=(reading.config.gate.pcoc_low, reading.config.gate.pcoc_high), **gate)


def _refused(manifest: Manifest) -> bool:
    return not manifest.details["accepted"]


STEP = Step("gate", "gates", ("gate",), reads, build, refused=_refused)

if __name__ == "__main__":
    main(STEP)
