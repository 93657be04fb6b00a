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

    candidate, made_by = _scored(reading, reading.store.folder(reading.need("bundles")))
    champion_bundle, champion = champion_folder(reading.store, reading.parent("champions")), None
    if champion_bundle is not None:
        scored, champion_made_by = _scored(reading, champion_bundle)
        champion, made_by = _scores(scored), champion_made_by | made_by
    slices = {name: candidate[name].to_numpy(zero_copy_only=False) for name in reading.config.gate.slices}
    label = candidate["label"].to_numpy()
    decision = judge(_rules(reading), label, _scores(candidate), champion, slices)
    for reason in decision.reasons:
        report(f"gate {reading.day}: refused: {reason}")
    return Built(candidate.num_rows, dataclasses.asdict(decision), made_by)


def _scored(reading: Reading, bundle_folder: Path) -> "tuple[pa.Table, dict[str, str]]":
    """The gate shares scored by a bundle, and what the last bits depend on."""
    import pyarrow as pa

    from pnn_gluon.serving.bundle import Bundle, scored_batches
    from pnn_gluon.warehouse.duckdb_engine import connect

    bundle = Bundle.load(bundle_folder)
    columns = ("label", *reading.config.gate.slices)
    samples = reading.over("samples", reading.config.gate.window_days)
    with connect(reading.config.engine) as connection:
        batches = [
            batch
            for sample in samples.values()
            for batch in scored_batches(
                bundle.score(connection, reading.store.folder(sample) / "sample.parquet", columns, "share = 'gate'")
            )
        ]
    return pa.Table.from_batches(batches), bundle.last_bits


def _scores(scored: "pa.Table") -> "Scores":
    from pnn_gluon.evaluation.gate import Scores

    return Scores(scored["logit"].to_numpy(), scored["probability"].to_numpy())


def _rules(reading: Reading) -> "GateRules":
    from pnn_gluon.evaluation.gate import GateRules

    gate: dict[str, Any] = reading.config.gate.model_dump(exclude={"slices", "window_days", "pcoc_low", "pcoc_high"})
    return GateRules(pcoc_range=(reading.config.gate.pcoc_low, reading.config.gate.pcoc_high), **gate)


def _refused(manifest: Manifest) -> bool:
    return not manifest.details["accepted"]


STEP = Step("gate", "gates", ("gate",), reads, build, refused=_refused)

if __name__ == "__main__":
    main(STEP)
