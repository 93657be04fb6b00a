"""Every model on one data set: parameters, seconds an epoch, quality over seeds, beside published rows.

    python -m benchmarks.model_table conf/experiments/frappe.toml --output docs/models_on_frappe.md

Each model and seed is a `pnn-gluon fit` of its own, `--jobs` at a time with an equal part of the processors. What a run
gave is a line of the record, a file of JSON lines beside the configuration's table; a run that is in the record (same
options and seed) is not repeated. That holds for runs of release 0.1 too (`"ids": "0.1"`), whose ids had another order;
their fingerprints were put in the form of this release. So the table can be made in parts: `--models` and `--seeds` say
what is to be run, the table shows all. Ends with one JSON line.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

import typer
from rich.console import Console

from pnn_gluon.experiments.config import FitConfig, load_fit_config
from pnn_gluon.models.declared import declared_models
from pnn_gluon.runtime import available_processors

REDRAWN = (
    "Validation and test rows are the published files; the published train file is not to be had, so the items of its\n"
    "negatives were drawn anew by the same rule: the published rows are not of exactly the same training data."
)
EARLIER_IDS = (
    "Runs of the record with `ids` 0.1 were made by release 0.1, which numbered values in another order and had no id\n"
    "for missing ones: starting values differ as between two seeds, parameters by one row of the tables for each field."
)
NOTES = {
    "frappe": f"{REDRAWN}\nPublished: BARS, Frappe_x1, embedding size 10 (fnn is its DNN, autoint its AutoInt+).",
    "frappe_squared": f"{REDRAWN}\nPublished: He & Chua (2017), Table 3, 128 factors, no pre-training.",
    "frappe_pretrained": f"{REDRAWN}\nPublished: He & Chua (2017), 128 factors, pre-trained by FM.",
}

PUBLISHED: dict[str, dict[str, tuple[float | None, float]]] = {
    "frappe": {
        "lr": (0.9356, 0.3076),
        "fm": (0.9671, 0.2065),
        "ffm": (0.9786, 0.1860),
        "hofm": (0.9742, 0.2073),
        "afm": (0.9697, 0.2264),
        "nfm": (0.9804, 0.2058),
        "fnn": (0.9833, 0.1622),
        "ipnn": (0.9841, 0.1540),
        "wdl": (0.9841, 0.1490),
        "deepfm": (0.9842, 0.1482),
        "dcn": (0.9839, 0.1527),
        "xdeepfm": (0.9845, 0.1466),
        "autoint": (0.9848, 0.1490),
    },
    "frappe_squared": {
        "fm": (None, 0.3437),
        "hofm": (None, 0.3405),
        "wdl": (None, 0.3621),
        "deepcross": (None, 0.4025),
        "nfm": (None, 0.3127),
    },
    "frappe_pretrained": {"wdl": (None, 0.3311)},
}
"""Test AUC and log loss (BARS, Frappe_x1; fnn is its DNN, autoint its AutoInt+), and RMSE (He & Chua 2017, Table 2)."""


def main(
    config: Annotated[Path, typer.Argument(help="A TOML file of paper mode.")],
    models: Annotated[
        str, typer.Option(help="Names, separated by commas; default: all with a table in the file.")
    ] = "",
    seeds: Annotated[str, typer.Option(help="first..last")] = "1..5",
    jobs: Annotated[int, typer.Option(help="Runs at a time.", min=1)] = 2,
    record: Annotated[Path | None, typer.Option(help="Default: docs/models_on_NAME.jsonl")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the data files.")] = None,
    output: Annotated[Path | None, typer.Option(help="Markdown file to write.")] = None,
) -> None:
    """Run what is missing, then print and write the table."""
    settings = load_fit_config(config)
    every = [name for name in declared_models() if name in settings.models]
    names = [name for name in models.split(",") if name] or every
    first, last = (int(seed) for seed in seeds.split(".."))
    kept = Record(record or Path("docs") / f"models_on_{settings.name}.jsonl", settings)
    wanted = [(name, seed) for seed in range(first, last + 1) for name in names if not kept.has(name, seed)]
    threads = max(1, available_processors() // jobs)
    extra = ["--data", str(data)] if data else []
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda run: kept.add(_fit(config, *run, threads, extra)), wanted))
    kept_runs = {name: runs for name in every if (runs := kept.runs(name))}
    rows = [_row(settings, name, runs) for name, runs in kept_runs.items()]
    earlier = any("ids" in run for runs in kept_runs.values() for run in runs)
    table = "\n".join(_markdown(rows))
    Console().print(table, markup=False, soft_wrap=True)
    if output is not None:
        output.write_text(_page(settings, config, table, rows[0]["threads"], earlier))
    print(json.dumps({row["model"]: row for row in rows}))


class Record:
    """The runs of a configuration, one line of JSON each; those of other options are kept and not looked at."""

    def __init__(self, path: Path, settings: FitConfig) -> None:
        self._path, self._settings, self._lock = path, settings, Lock()
        lines = path.read_text().splitlines() if path.exists() else []
        self._runs = [json.loads(line) for line in lines]

    def runs(self, name: str) -> list[dict[str, Any]]:
        """The runs of a model with its present options, by seed."""
        fingerprint = self._settings.fingerprint(name)
        found = [run for run in self._runs if (run["model"], run["fingerprint"]) == (name, fingerprint)]
        return sorted(found, key=lambda run: run["seed"])

    def has(self, name: str, seed: int) -> bool:
        """Whether this run is there."""
        return any(run["seed"] == seed for run in self.runs(name))

    def add(self, run: dict[str, Any]) -> None:
        """Keep what a run gave, without its options, which the fingerprint stands for, and what the data are."""
        line = {key: value for key, value in run.items() if key not in {"config", "data"}}
        line["fingerprint"] = run["config"]["fingerprint"]
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")
            self._runs.append(line)


def _fit(config: Path, name: str, seed: int, threads: int, extra: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "jobs", "fit", str(config), "--model", name, "--seed", str(seed), *extra]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stderr}")
    run: dict[str, Any] = json.loads(done.stdout) | {"threads": threads}
    print(f"{name} seed {seed}: AUC {run['auc']:.5f}, {run['seconds']:.0f} s", file=sys.stderr, flush=True)
    return run


def _row(settings: FitConfig, name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and standard deviations over the seeds of a model that were run."""
    loss = "rmse" if "rmse" in runs[0] else "log_loss"
    row: dict[str, Any] = {"model": name, "seeds": len(runs), "parameters": runs[0]["parameters"], "loss": loss}
    for metric in ("auc", loss, f"valid_{loss}", "valid_auc", "epochs"):
        values = [run[metric] for run in runs]
        row[metric] = statistics.fmean(values)
        row[f"{metric}_std"] = statistics.stdev(values) if len(values) > 1 else None
    row["threads"] = runs[0]["threads"]
    row["seconds_per_epoch"] = min(run["seconds_per_epoch"] for run in runs)
    row["published_auc"], row["published_loss"] = PUBLISHED.get(settings.name, {}).get(name, (None, None))
    return row


def _markdown(rows: list[dict[str, Any]]) -> Iterator[str]:
    loss = "RMSE" if rows[0]["loss"] == "rmse" else "log loss"
    head = ["model", "parameters", "s/epoch", "epochs", "seeds", "validation AUC", "test AUC", f"test {loss}"]
    yield f"| {' | '.join([*head, 'published AUC', f'published {loss}'])} |"
    yield f"| {' | '.join(['---'] * 10)} |"
    for row in rows:
        quality = [_spread(row["auc"], row["auc_std"]), _spread(row[row["loss"]], row[f"{row['loss']}_std"])]
        published = [_number(row["published_auc"]), _number(row["published_loss"])]
        speed = [f"{row['parameters']:,}", f"{row['seconds_per_epoch']:.2f}", f"{row['epochs']:.0f}"]
        speed += [str(row["seeds"]), _number(row["valid_auc"])]
        yield f"| {' | '.join([row['model'], *speed, *quality, *published])} |"


def _spread(mean: float, deviation: float | None) -> str:
    return _number(mean) + ("" if deviation is None else f" ± {_number(deviation)}")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".lstrip("0")


def _page(settings: FitConfig, config: Path, table: str, threads: int, earlier: bool) -> str:
    notes = [NOTES.get(settings.name, ""), EARLIER_IDS if earlier else ""]
    return (
        f"# The models on {settings.name}\n\n"
        f"Written by `python -m benchmarks.model_table {config} --output ...`; options of each model: `{config}`.\n"
        "Means ± standard deviations over the seeds; options were chosen on the validation rows. Seconds are those of\n"
        f"an epoch of training (gbdt: of a tree) with {threads} thread(s) a run, the least over the seeds.\n\n"
        f"{table}\n\n" + "\n".join(filter(None, notes)).rstrip() + "\n"
    )


if __name__ == "__main__":
    typer.run(main)
