"""What the precision of dense layers changes in what a bid sees: probabilities and ranks of one trained network.

    python -m benchmarks.precision_scores
    python -m benchmarks.precision_scores --bundle work/frappe --table work/frappe_test.parquet

Without a bundle, a network is trained and calibrated on two generated days and scores the rows of the third. Each
variant scores all rows with the same parameters; `plain` is the exported graph with MXNet's own operators. Compared
with `--first`: |dp/p| of the calibrated probability (largest, 99th percentile, median); the sum of the probabilities
over that of the first, by which PCOC changes; and places among candidates, of which one request has so many rows as
they come: pairs that are in the other order by the logit, and requests in which another candidate is the best, or
others are the best five. Ends with one JSON line.
"""

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.generated_days import run_days
from jobs.terminal import console
from pnn_gluon.arrays import Floats
from pnn_gluon.config import Config, EngineConfig, load_config
from pnn_gluon.data.synthetic import write_day
from pnn_gluon.data.synthetic_options import SyntheticOptions
from pnn_gluon.days import day_range, plus
from pnn_gluon.ops import operators
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.portable.engines import engine_named
from pnn_gluon.processor import processor_name
from pnn_gluon.serving.bundle import Bundle
from pnn_gluon.serving.scoring import score_batches

VARIANTS = {"f32": ("native", "f32"), "x3": ("native", "x3"), "bf16": ("native", "bf16"), "plain": ("plain", "auto")}
"""Engine and precision of each variant."""
FIRST_DAY = datetime.date(2026, 11, 1)
STEPS = ("ingest", "sample", "count", "feature_map", "encode", "train", "calibrate")
BEST = 5

PIPELINE = """
name = "precision_scores"
first_day = {day}
model = {model}
[store]
root = "store"
[source]
preset = "criteo"
logs = "raw/logs/{{day}}/*.tsv"
[sampling]
negative_rate = 0.25
train = 0.75
calibrate = 0.2
gate = 0.05
[feature_map]
min_impressions = 5
[training]
window_days = 2
epochs = 5
patience = 1
batch_size = 1000
learning_rate = 1e-3
embedding_l2 = 1e-2
[calibration]
method = "{calibration}"
"""


def main(
    bundle: Annotated[Path | None, typer.Option(help="Of a trained network; by default one is trained.")] = None,
    table: Annotated[Path | None, typer.Option(help="Its raw rows, Parquet.")] = None,
    variants: Annotated[str, typer.Option(help=f"Of {', '.join(VARIANTS)}.")] = ",".join(VARIANTS),
    first: Annotated[str, typer.Option(help="What the others are compared with.")] = "f32",
    candidates: Annotated[int, typer.Option(help="Rows of a request.", min=BEST + 1)] = 20,
    rows: Annotated[int, typer.Option(help="Of a generated day.", min=1000)] = 300_000,
    model: Annotated[str, typer.Option(help="The network to train, in TOML.")] = (
        '{ name = "ipnn", embedding_size = 16, hidden = [400, 400, 400] }'
    ),
    calibration: Annotated[str, typer.Option(help="Of the trained network.")] = "platt",
    work: Annotated[Path, typer.Option(help="Folder for generated days.")] = Path("work/benchmark/precision_scores"),
) -> None:
    """Train if need be, score, compare and print."""
    if (bundle is None) != (table is None):
        raise SystemExit("give --bundle and --table, or neither")
    tables: list[Path] = [] if table is None else [table]
    if bundle is None:
        bundle, tables = _trained(work.resolve(), rows, model, calibration)
    scored = {
        name: _scores(bundle, tables, *VARIANTS[name]) for name in {first: None} | dict.fromkeys(variants.split(","))
    }
    found = {name: compared(*scored[first], *each, candidates) for name, each in scored.items() if name != first}
    _show(f"{len(scored[first][0]):,} rows, {operators()}, {processor_name()}, compared with {first}", found)
    print(json.dumps({"first": first, "rows": len(scored[first][0]), "operators": operators(), "variants": found}))


def _trained(folder: Path, rows: int, model: str, calibration: str) -> tuple[Path, list[Path]]:
    """The bundle of two generated days, and the raw rows of the third."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pipeline.toml"
    path.write_text(PIPELINE.format(day=FIRST_DAY, model=model, calibration=calibration))
    config, days = load_config(path), day_range(FIRST_DAY, plus(FIRST_DAY, 2))
    options = SyntheticOptions(seed=1, first_day=FIRST_DAY, rows_per_day=rows)
    for day in days:
        write_day(options, day, folder / "raw")
    run_days(config, STEPS, days[:2])
    run_days(config, ["ingest"], days[2:])
    return _folder(config, "bundles", days[1]), sorted(_folder(config, "rows", days[2]).glob("rows*.parquet"))


def _folder(config: Config, table: str, day: datetime.date) -> Path:
    store = open_store(config)
    manifest = store.manifest(table, day)
    assert manifest is not None
    return store.folder(manifest)


def _scores(folder: Path, tables: Sequence[Path], engine: str, precision: Any) -> tuple[NDArray[np.float32], Floats]:
    """Logits and calibrated probabilities of all rows."""
    bundle = Bundle.load(folder, engine_named(engine, precision))
    with score_batches(bundle, EngineConfig(), tables, ()) as batches:
        found = [(batch.logit, batch.probability) for batch in batches]
    logit, probability = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return logit, probability


def compared(
    logit: NDArray[np.float32], probability: Floats, other_logit: NDArray[np.float32], other: Floats, candidates: int
) -> dict[str, float]:
    """How far other scores of the same rows (B,) are from some, see the head of this file."""
    off = np.abs(other / probability - 1)
    requests = len(logit) // candidates
    before, after = (z[: requests * candidates].reshape(requests, candidates) for z in (logit, other_logit))
    order, other_order = np.argsort(-before, kind="stable"), np.argsort(-after, kind="stable")
    best, other_best = np.sort(order[:, :BEST]), np.sort(other_order[:, :BEST])
    return {
        "largest": float(off.max()),
        "p99": float(np.percentile(off, 99)),
        "median": float(np.median(off)),
        "sum": float(other.sum() / probability.sum()),
        "pairs": _swapped(before, after),
        "another best": float((order[:, 0] != other_order[:, 0]).mean()),
        "other best five": float((best != other_best).any(axis=1).mean()),
    }


def _swapped(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """The share of the pairs of candidates (R, C) that are in the other order."""
    left, right = np.triu_indices(before.shape[1], 1)
    changed = np.sign(before[:, left] - before[:, right]) * np.sign(after[:, left] - after[:, right]) < 0
    return float(changed.mean())


def _show(title: str, found: dict[str, dict[str, float]]) -> None:
    table = Table("variant", *next(iter(found.values())), title=title)
    for name, figures in found.items():
        shown = {**{key: f"{value:.1e}" for key, value in figures.items()}, "sum": f"{figures['sum']:.6f}"}
        table.add_row(name, *shown.values())
    console().print(table)


if __name__ == "__main__":
    typer.run(main)
