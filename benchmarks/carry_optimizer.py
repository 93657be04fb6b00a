"""Warm starts with the optimizer's states and without: next days' AUC and log loss, day after day.

    python -m benchmarks.carry_optimizer [--rows 40000] [--days 8] [--seeds 1,2,3] [--optimizers adam,adagrad,ftrl]

Generated logs whose click rate and values drift; every day's model goes on from yesterday's on that day's rows, and is
judged on the rows of the next. All but `publish` and the gate run in this process; one store of data a world, linked.
For each world and optimizer: AUC and log loss over all next days from the third, and what carrying wins of each, with
the means and the least and largest over worlds. Ends with one JSON line.
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
from benchmarks.unseen_values import FIRST, scored_next_day, write_world
from jobs.logs import show_on_stderr
from jobs.terminal import console
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import day_range, plus
from pnn_gluon.evaluation.metrics import ClickMetrics
from pnn_gluon.processor import processor_name

RATES = {"adam": 1e-3, "adagrad": 3e-2, "groupadagrad": 3e-2, "ftrl": 1e-1}
"""The optimizers and their learning rates."""

PIPELINE = """
name = "carry_optimizer"
first_day = 2026-11-01
{model}
[store]
root = "{store}"
[source]
preset = "criteo"
logs = "raw/logs/{{day}}/*.tsv"
[feature_map]
min_impressions = 5
window_days = 1
[training]
window_days = 1
warm_start = true
warm_start_from = "yesterday"
carry_optimizer = {carried}
optimizer = "{optimizer}"
learning_rate = {rate}
epochs = {epochs}
batch_size = 500
[calibration]
method = "platt"
"""

Figures = dict[str, Any]


def main(
    rows: Annotated[int, typer.Option(min=10_000, help="Log lines a day.")] = 40_000,
    days: Annotated[int, typer.Option(min=4)] = 8,
    seeds: Annotated[str, typer.Option(help="Worlds, separated by commas.")] = "1,2,3",
    optimizers: Annotated[str, typer.Option(help=f"Of {', '.join(RATES)}.")] = "adam,adagrad,ftrl",
    model: Annotated[str, typer.Option(help="TOML of the section model.")] = 'name = "fm", embedding_size = 8',
    epochs: Annotated[int, typer.Option(min=1, help="Most passes over a day.")] = 3,
    work: Annotated[Path, typer.Option(help="Folder for everything made here.")] = Path("work/benchmark"),
) -> None:
    """Train each way and look at the next days."""
    span, found = day_range(FIRST, plus(FIRST, days - 1)), []
    for seed in map(int, seeds.split(",")):
        folder = work.resolve() / "carry_optimizer" / str(seed)
        write_world(folder, seed, rows, span)
        run_days(_config(folder, "upstream", model, "adam", False, epochs), UPSTREAM, span)
        for optimizer in optimizers.split(","):
            both = [_next_days(folder, model, optimizer, carried, epochs, span) for carried in (False, True)]
            found.append({"seed": seed, "optimizer": optimizer, **_compared(*both)})
    console().print(_table(found))
    settings = {"processor": processor_name(), "rows": rows, "days": days, "model": model, "epochs": epochs}
    print(json.dumps({**settings, "worlds": found, "won": _won(found)}))


def _config(folder: Path, store: str, model: str, optimizer: str, carried: bool, epochs: int) -> Config:
    path = folder / f"{store}.toml"
    options = {"optimizer": optimizer, "rate": RATES[optimizer], "carried": str(carried).lower(), "epochs": epochs}
    path.write_text(PIPELINE.format(model=f"model = {{ {model} }}", store=store, **options))
    return load_config(path)


def _next_days(
    folder: Path, model: str, optimizer: str, carried: bool, epochs: int, days: list[datetime.date]
) -> Figures:
    """AUC and log loss of the rows of all days from the third by the model of the day before."""
    name = f"{optimizer}_{'carried' if carried else 'fresh'}"
    shutil.copytree(folder / "upstream", folder / name, copy_function=os.link, ignore=shutil.ignore_patterns(".local"))
    config = _config(folder, name, model, optimizer, carried, epochs)
    run_days(config, ("train", "calibrate"), days[:-1])
    parts = [scored_next_day(config, day)[:3] for day in days[1:-1]]
    summary = ClickMetrics().update(*(np.concatenate(column) for column in zip(*parts, strict=True))).summary()
    shutil.rmtree(folder / name)
    return {"auc": summary["auc"], "log_loss": summary["log_loss"]}


def _compared(fresh: Figures, carried: Figures) -> Figures:
    """Both, and what carrying wins: of AUC what is added, of log loss what is taken away."""
    won = {"won_auc": carried["auc"] - fresh["auc"], "won_log_loss": fresh["log_loss"] - carried["log_loss"]}
    each = {f"{name}_{way}": of[name] for name in fresh for way, of in (("fresh", fresh), ("carried", carried))}
    return {name: round(value, 6) for name, value in {**each, **won}.items()}


def _won(found: list[Figures]) -> Figures:
    """By optimizer and measure: mean, least and largest over worlds."""
    told: Figures = {}
    for optimizer in dict.fromkeys(line["optimizer"] for line in found):
        for name in ("won_auc", "won_log_loss"):
            values = [line[name] for line in found if line["optimizer"] == optimizer]
            told.setdefault(optimizer, {})[name] = [round(float(f(values)), 6) for f in (np.mean, np.min, np.max)]
    return told


def _table(found: list[Figures]) -> Table:
    table = Table(*found[0])
    for line in found:
        table.add_row(*(f"{value:.5f}" if isinstance(value, float) else str(value) for value in line.values()))
    return table


if __name__ == "__main__":
    show_on_stderr(["benchmarks.generated_days"])
    typer.run(main)
