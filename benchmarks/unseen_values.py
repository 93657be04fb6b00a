"""What training *other* and *missing* is worth: next days' rows with values that the model's map does not know.

    python -m benchmarks.unseen_values [--rows 60000] [--days 4] [--shares 0,0.05] [--models lr,fm]

Generated logs whose values come and go; every value of the training rows has an id (`feature_map.min_impressions = 1`),
so that without `training.unseen_share` nothing trains *other*. For each model and share, over all next days: AUC and
log loss of all rows, PCOC of the rows with a value that is *other*, of those with one such value and of those
with several. Ends with one JSON line.
"""

import datetime
import json
import os
import shutil
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from benchmarks.generated_days import UPSTREAM, run_days
from jobs.logs import show_on_stderr
from jobs.terminal import console
from pnn_gluon.config import Config, load_config
from pnn_gluon.data.synthetic import write_day
from pnn_gluon.data.synthetic_options import SyntheticOptions
from pnn_gluon.days import day_range, plus
from pnn_gluon.evaluation.metrics import ClickMetrics
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.serving.bundle import Bundle
from pnn_gluon.store.parts import parts_in
from pnn_gluon.warehouse.duckdb_engine import connect

FIRST = datetime.date(2026, 11, 1)
MODELS = {
    "lr": 'model = { name = "lr" }',
    "fm": 'model = { name = "fm", embedding_size = 8 }',
    "ipnn": 'model = { name = "ipnn", embedding_size = 8, hidden = [64, 64] }',
}
PIPELINE = """
name = "unseen_values"
first_day = 2026-11-01
{model}
[store]
root = "{store}"
[source]
preset = "criteo"
logs = "raw/logs/{{day}}/*.tsv"
[feature_map]
min_impressions = 1
window_days = 2
[training]
window_days = 2
batch_size = 200
unseen_share = {share}
learning_rate = 3e-3
embedding_l2 = 1e-4
[calibration]
method = "platt"
"""

Figures = dict[str, Any]


def main(
    rows: Annotated[int, typer.Option(min=10_000, help="Log lines a day.")] = 60_000,
    days: Annotated[int, typer.Option(min=2)] = 4,
    shares: Annotated[str, typer.Option(help="Of unseen_share, separated by commas.")] = "0,0.05",
    models: Annotated[str, typer.Option(help=f"Of {', '.join(MODELS)}.")] = "lr,fm",
    seed: Annotated[int, typer.Option(help="The world.")] = 1,
    work: Annotated[Path, typer.Option(help="Folder for everything made here.")] = Path("work/benchmark"),
) -> None:
    """Train with each share and look at the next days."""
    folder, span = work.resolve() / "unseen_values", day_range(FIRST, plus(FIRST, days - 1))
    write_world(folder, seed, rows, span)
    run_days(_config(folder, "upstream", "lr", "0"), UPSTREAM, span)
    found = [
        {"model": model, "share": float(share), **_next_days(folder, model, share, span)}
        for model in models.split(",")
        for share in shares.split(",")
    ]
    table = Table(*found[0])
    for line in found:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in line.values()))
    console().print(table)
    print(json.dumps(found))


def write_world(folder: Path, seed: int, rows: int, days: list[datetime.date]) -> None:
    """Put so many rows of each day below `raw` of a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    world = SyntheticOptions(seed=seed, first_day=days[0], rows_per_day=rows, click_rate=0.1)
    for day in days:
        write_day(world, day, folder / "raw")


def _config(folder: Path, store: str, model: str, share: str) -> Config:
    path = folder / f"{store}.toml"
    path.write_text(PIPELINE.format(model=MODELS[model], store=store, share=share))
    return load_config(path)


def _next_days(folder: Path, model: str, share: str, days: list[datetime.date]) -> Figures:
    """Figures of the rows of all days but the first by the model of the day before."""
    name = f"{model}_{share}"
    shutil.copytree(folder / "upstream", folder / name, copy_function=os.link, ignore=shutil.ignore_patterns(".local"))
    config = _config(folder, name, model, share)
    run_days(config, ("train", "calibrate"), days[:-1])
    parts = [scored_next_day(config, day) for day in days[:-1]]
    label, logit, probability, unknown = (np.concatenate([part[k] for part in parts]) for k in range(4))
    every = ClickMetrics().update(label, logit, probability).summary()
    few, many = unknown == 1, unknown > 1
    return {
        "rows": len(label),
        "auc": every["auc"],
        "log_loss": every["log_loss"],
        "pcoc": every["pcoc"],
        "rows_unknown": int((unknown > 0).sum()),
        **{
            f"pcoc_{what}": float(probability[chosen].sum() / label[chosen].sum())
            for what, chosen in (("unknown", unknown > 0), ("one", few), ("several", many))
        },
    }


def scored_next_day(config: Config, day: datetime.date) -> tuple[Any, Any, Any, Any]:
    """Labels, logits, probabilities of the next day's rows by a day's bundle; how many of their values are *other*."""
    store = open_store(config)
    bundle_day, rows_day = store.manifest("bundles", day), store.manifest("rows", plus(day, 1))
    if bundle_day is None or rows_day is None:
        raise RuntimeError(f"{day} was not made")
    bundle, rows = Bundle.load(store.folder(bundle_day)), parts_in(store.folder(rows_day) / "rows.parquet")
    with connect(config.engine) as connection:
        scored = list(bundle.score(connection, rows, ("label",)))
    label = np.concatenate([np.asarray(batch.columns["label"]) for batch in scored])
    made = (np.concatenate([getattr(b, name) for b in scored]) for name in ("logit", "probability", "new_fields"))
    return label, *made


if __name__ == "__main__":
    show_on_stderr(["benchmarks.generated_days"])
    typer.run(main)
