"""A day of Criteo-like logs through the data steps, from text to training shards, beside pandas, Polars and FuxiCTR.

    python -m benchmarks.etl [--rows 2000000] [--work work/benchmark] [--rounds 3]

The data steps run twice, each time into an empty store, with 1 GB of engine memory and one thread: all in one process
(`ours`), `pnn-gluon run --steps ... --force`, and each in its own, `pnn-gluon step STEP --force`, as Airflow runs them.
Seconds from start to exit, rows of the log a second and a CPU second, and the most memory that the processes held at
once.
Beside it, in the same rounds and on the same file, the peers, each from its own locked packages in a folder of its own,
installed here and never by the product:

    polars        `etl_polars_day`: the same job by hand: rejects with reasons, row ids, shares, counts, a map, HDF5
                  shards, every file hashed and synced
    polars_cells  `etl_polars`: only cells to ids: for values of 20 and more appearances, buckets of numbers, one
                  Parquet file
    fuxictr       `etl_fuxictr`: its `FeatureProcessor` with its Criteo example's fields, one Parquet file
    pandas        what DeepCTR's examples do: `read_csv`, a scikit-learn `LabelEncoder` for each column, an int32 matrix

All but `polars` leave out what our steps do besides: they set no bad line aside, and name, split and sample no row.
None can go on with a second day. Ends with one JSON line: rows a CPU second and peak MB of `ours` and of each peer,
`null` where one could not be installed, with the reason in `absent`; medians of all steps; ratios: ours / peer.

Afterwards `pnn-gluon bench --config work/benchmark/etl/etl.toml` measures the feeder over the encoded shard against
training on it.
"""

import datetime
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks.peer import peer_python
from benchmarks.usage import Usage, run
from jobs.terminal import console
from pnn_gluon.config import load_config
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.processor import processor_name

DAY = datetime.date(2026, 11, 1)
STEPS = ("ingest", "sample", "count", "feature_map", "encode")
HERE = Path(__file__).parent
ONE = "one process"
EACH = "a process each"
"""All the data steps in one process, and each in its own."""
PEERS = {
    "polars": ("polars==2.1.0", "h5py==3.16.0"),
    "polars_cells": ("polars==2.1.0", "h5py==3.16.0"),
    "fuxictr": ("-r", str(HERE / "fuxictr.lock")),
    "pandas": ("pandas==2.3.3", "scikit-learn==1.7.2"),
}
"""The packages of each peer, as arguments of pip."""

PIPELINE = f"""
name = "etl"
first_day = {DAY}
[store]
root = "store"
[source]
preset = "criteo"
logs = "raw/logs/{{day}}/*.tsv"
[sampling]
train = 0.9
calibrate = 0.09
gate = 0.01
[feature_map]
min_impressions = 20
window_days = 1
[model]
name = "ipnn"
embedding_size = 20
hidden = [400, 400, 400]
[training]
window_days = 1
batch_size = 2000
[engine]
memory_limit = "1GB"
threads = 1
"""

PANDAS = """
import sys
import numpy as np
import pandas as pd
from sklearn.preprocessing import LabelEncoder

dense, sparse = [f"I{i}" for i in range(1, 14)], [f"C{i}" for i in range(1, 27)]
data = pd.read_csv(sys.argv[1], sep="\\t", header=None, names=["label", *dense, *sparse])
data[sparse] = data[sparse].fillna("-1")
data[dense] = data[dense].fillna(0)
for name in dense + sparse:
    data[name] = LabelEncoder().fit_transform(data[name])
ids, label = data[dense + sparse].to_numpy(np.int32), data["label"].to_numpy(np.int32)
assert ids.shape == (len(label), 39)
"""


def main(
    rows: Annotated[int, typer.Option(min=100_000, help="Log lines of the day.")] = 2_000_000,
    work: Annotated[Path, typer.Option(help="Folder for everything made here.")] = Path("work/benchmark"),
    rounds: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Measure the data steps and the peers in turn."""
    folder = work.resolve() / "etl"
    log = generate(folder, rows)
    peers, absent = installed(folder / "peers")
    steps = _medians([_round(folder, log, peers) for _ in range(rounds)])
    figures = {"log_mb": round(log.stat().st_size / 1e6, 1), **told(steps, encoded_rows(folder), absent)}
    _show(figures)
    print(json.dumps(figures))


def _round(folder: Path, log: Path, peers: dict[str, Path]) -> dict[str, Usage]:
    return {ONE: run_steps(folder)} | run_each(folder) | _run_peers(folder, log, peers)


def told(used: dict[str, Usage], rows: int, absent: dict[str, str]) -> dict[str, Any]:
    """What the steps and the peers took, for a log of so many rows; without those that are absent."""
    ours = used[ONE]
    steps = {**{name: used[name] for name in STEPS}, EACH: _together([used[name] for name in STEPS]), ONE: ours}
    peers = {name: used[name] for name in PEERS if name not in absent}
    rates = _rates({**steps, **peers}, rows)
    return {
        "rows": rows,
        "processor": processor_name(),
        "steps": rates,
        "ratios": {name: _ratios(ours, peer) for name, peer in peers.items()},
        "absent": absent,
        "ours": _summary(rates[ONE]),
        **{name: _summary(rates[name]) if name in peers else None for name in PEERS},
    }


def installed(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """The interpreter of each peer that could be installed, and why the others could not."""
    pythons, absent = {}, {}
    for name, packages in PEERS.items():
        try:
            pythons[name] = peer_python(folder / name.partition("_")[0], packages)
        except (subprocess.CalledProcessError, OSError) as error:
            absent[name] = f"its packages could not be installed: {error}"
    return pythons, absent


def generate(folder: Path, rows: int) -> Path:
    """The pipeline's file, and the day's log: in a process of its own, as no child's peak is below its parent's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "etl.toml").write_text(PIPELINE)
    shutil.rmtree(folder / "raw", ignore_errors=True)
    options = f"--rows {rows} --requests 1 --vocabulary criteo --compression none --day {DAY}"
    command = [sys.executable, "-m", "jobs", "synth", "--folder", str(folder / "raw"), *options.split()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "raw" / "logs" / str(DAY) / "part-0.tsv"


def run_steps(folder: Path) -> Usage:
    """All steps in one process, into an empty store: encode would take over the shards of the round before."""
    shutil.rmtree(folder / "store", ignore_errors=True)
    return run([sys.executable, "-m", "jobs", "run", "--steps", ",".join(STEPS), *_options(folder)])[0]


def run_each(folder: Path) -> dict[str, Usage]:
    """Each step in its own process, into an empty store."""
    shutil.rmtree(folder / "store", ignore_errors=True)
    return {name: run([sys.executable, "-m", "jobs", "step", name, *_options(folder)])[0] for name in STEPS}


def _options(folder: Path) -> list[str]:
    return ["--config", str(folder / "etl.toml"), "--day", str(DAY), "--force"]


def _run_peers(folder: Path, log: Path, peers: dict[str, Path]) -> dict[str, Usage]:
    """Each peer on the log; what it writes goes to the folder."""
    scripts = {
        "pandas": ["-c", PANDAS, str(log)],
        "polars": [str(HERE / "etl_polars_day.py"), str(log), str(folder / "polars")],
        "polars_cells": [str(HERE / "etl_polars.py"), str(log), str(folder / "polars.parquet")],
        "fuxictr": [str(HERE / "etl_fuxictr.py"), str(log), str(folder / "fuxictr")],
    }
    return {name: run([str(python), *scripts[name]])[0] for name, python in peers.items()}


def encoded_rows(folder: Path) -> int:
    """Rows of the log that went into the store, 0 as long as the day is not encoded."""
    if not (folder / "etl.toml").exists():
        return 0
    store = open_store(load_config(folder / "etl.toml"))
    rows, shards = store.manifest("rows", DAY), store.manifest("shards", DAY)
    return 0 if rows is None or shards is None else rows.rows


def _medians(rounds: list[dict[str, Usage]]) -> dict[str, Usage]:
    return {name: _median([each[name] for each in rounds]) for name in rounds[0]}


def _median(usages: list[Usage]) -> Usage:
    return Usage(**{name: statistics.median(getattr(u, name) for u in usages) for name in Usage.__annotations__})


def _together(usages: list[Usage]) -> Usage:
    """Steps one after the other."""
    seconds, cpu_seconds = sum(u.seconds for u in usages), sum(u.cpu_seconds for u in usages)
    return Usage(seconds, max(u.peak_mb for u in usages), cpu_seconds)


def _rates(used: dict[str, Usage], rows: int) -> dict[str, dict[str, float]]:
    return {
        name: {
            "seconds": round(usage.seconds, 2),
            "rows_per_second": round(rows / usage.seconds),
            "rows_per_cpu_second": round(rows / usage.cpu_seconds),
            "peak_mb": round(usage.peak_mb),
        }
        for name, usage in used.items()
    }


def _summary(rates: dict[str, float]) -> dict[str, float]:
    return {name: rates[name] for name in ("rows_per_cpu_second", "peak_mb")}


def _ratios(ours: Usage, peer: Usage) -> dict[str, float]:
    return {
        "seconds": round(ours.seconds / peer.seconds, 3),
        "cpu_seconds": round(ours.cpu_seconds / peer.cpu_seconds, 3),
        "peak_mb": round(ours.peak_mb / peer.peak_mb, 3),
    }


def _show(figures: dict[str, Any]) -> None:
    table = Table("process", "seconds", "rows/s", "rows/CPU s", "peak MB", title=f"{figures['rows']:,} rows")
    for name, used in figures["steps"].items():
        table.add_row(name, *(f"{value:,}" for value in used.values()))
    for name, ratios in figures["ratios"].items():
        ours = str(ratios["seconds"]), "", f"{ratios['cpu_seconds']} (CPU s)", str(ratios["peak_mb"])
        table.add_row(f"ours / {name}", *ours)
    console().print(table)


if __name__ == "__main__":
    typer.run(main)
