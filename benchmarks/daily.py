"""A day of Criteo-like logs through the data steps, against pandas and scikit-learn; and the feeder against training.

    python -m benchmarks.daily [--rows 2000000] [--work work/benchmark] [--rounds 3]

Each step is a process of its own, `python -m jobs.<step> --force` into an empty store, with 1 GB of engine memory:
seconds from start to exit, rows of the log a second, and the most memory the process ever held. Beside it, in the same
rounds and on the same file, the peer: what DeepCTR's examples do, `pandas.read_csv`, a scikit-learn `LabelEncoder` for
each column, and one int32 matrix, which is left in memory. The peer is installed from the registry into a folder of its
own, here and never by the product. It has no threshold for rare values, no unseen values, no second day and writes
nothing; our steps do all that.

Then rows a second of the feeder over the encoded shard, shuffled, against examples a second of training on it.
Ends with one JSON line; ratios are ours / peer.
"""

import contextlib
import dataclasses
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from benchmarks.peer import peer_python
from jobs.terminal import console

if TYPE_CHECKING:
    from pnn_gluon.data.feeder import Batch, Feeder
    from pnn_gluon.store.manifest import Manifest

DAY = datetime.date(2026, 11, 1)
STEPS = ("ingest", "sample", "count", "feature_map", "encode")
PEER_PACKAGES = ("pandas==2.3.3", "scikit-learn==1.7.2")

PIPELINE = f"""
name = "daily"
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
[training]
window_days = 1
[engine]
memory_limit = "1GB"
"""

PEER = """
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

WARM_UP = 20
"""Batches before the training clock starts, and between its readings."""
TIMED = 200
"""Most batches that are timed."""

TRAININGS: dict[str, dict[str, Any]] = {
    "ipnn 20, 3x400": {"embedding_size": 20, "hidden": (400, 400, 400), "batch_size": 2000, "learning_rate": 1e-3},
    "demo: ipnn 8, 2x64": {"embedding_size": 8, "hidden": (64, 64), "batch_size": 250, "learning_rate": 3e-3},
}
"""Networks with layer normalization, by what the table calls them."""


@dataclasses.dataclass(frozen=True)
class Usage:
    """What one process took."""

    seconds: float
    peak_mb: float


def main(
    rows: Annotated[int, typer.Option(min=100_000, help="Log lines of the day.")] = 2_000_000,
    work: Annotated[Path, typer.Option(help="Folder for everything made here.")] = Path("work/benchmark"),
    rounds: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Measure the data steps and the peer in turn, then the feeder and training in turn."""
    folder = work.resolve() / "daily"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "daily.toml").write_text(PIPELINE)
    log, peer = _generate(folder, rows), peer_python(folder / "peer", PEER_PACKAGES)
    steps = _medians([_round(folder, log, peer) for _ in range(rounds)])
    ours = {name: steps[name] for name in STEPS}
    steps = {**ours, "all steps": _together(list(ours.values())), "peer": steps["peer"]}
    rows = _manifest(folder, "rows")[0].rows
    figures = {"rows": rows, "log_mb": round(log.stat().st_size / 1e6, 1), "steps": _rates(steps, rows)}
    figures |= {"ratios": _ratios(steps), "feeding": _feeding(folder, rounds)}
    _show(figures)
    print(json.dumps(figures))


def _generate(folder: Path, rows: int) -> Path:
    """The day's log. In a process of its own: a child's peak memory is never below its parent's at the start."""
    shutil.rmtree(folder / "raw", ignore_errors=True)
    options = f"--rows {rows} --requests 1 --vocabulary criteo --compression none --day {DAY}"
    command = [sys.executable, "-m", "jobs", "synth", "--folder", str(folder / "raw"), *options.split()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "raw" / "logs" / str(DAY) / "part-0.tsv"


def _round(folder: Path, log: Path, peer: Path) -> dict[str, Usage]:
    """Every step into an empty store (encode would take over the shards of the round before), then the peer."""
    shutil.rmtree(folder / "store", ignore_errors=True)
    options = ("--config", str(folder / "daily.toml"), "--day", str(DAY), "--force")
    used = {name: _run([sys.executable, "-m", f"jobs.{name}", *options]) for name in STEPS}
    used["peer"] = _run([str(peer), "-c", PEER, str(log)])
    return used


def _run(command: list[str]) -> Usage:
    """Run a process to its end.

    Raises:
        RuntimeError: it fails.
    """
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"status {process.returncode} of {' '.join(command)}: {said[-1000:]}")
    return Usage(time.perf_counter() - started, used.ru_maxrss / 1024)


def _manifest(folder: Path, table: str) -> "tuple[Manifest, Path]":
    """What a step made, and where."""
    from pnn_gluon.config import load_config
    from pnn_gluon.store.store import Store

    store = Store.of(load_config(folder / "daily.toml"))
    manifest = store.manifest(table, DAY)
    assert manifest is not None
    return manifest, store.folder(manifest)


def _medians(rounds: list[dict[str, Usage]]) -> dict[str, Usage]:
    return {name: _median([each[name] for each in rounds]) for name in rounds[0]}


def _median(usages: list[Usage]) -> Usage:
    seconds, peak = (statistics.median(getattr(u, what) for u in usages) for what in ("seconds", "peak_mb"))
    return Usage(seconds, peak)


def _together(usages: list[Usage]) -> Usage:
    """Steps one after the other."""
    return Usage(sum(u.seconds for u in usages), max(u.peak_mb for u in usages))


def _rates(used: dict[str, Usage], rows: int) -> dict[str, dict[str, float]]:
    return {
        name: {
            "seconds": round(usage.seconds, 2),
            "rows_per_second": round(rows / usage.seconds),
            "peak_mb": round(usage.peak_mb),
        }
        for name, usage in used.items()
    }


def _ratios(used: dict[str, Usage]) -> dict[str, float]:
    ours, peer = used["all steps"], used["peer"]
    return {
        "seconds": round(ours.seconds / peer.seconds, 3),
        "peak_mb": round(ours.peak_mb / peer.peak_mb, 3),
    }


def _feeding(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """For each network: rows a second of the feeder, examples a second of training, and their ratio."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in TRAININGS}
    for _ in range(rounds):
        for name, options in TRAININGS.items():
            found[name].append((_feeder_rate(folder, options["batch_size"]), _training_rate(folder, **options)))
    return {name: _feeding_figures(pairs) for name, pairs in found.items()}


def _feeding_figures(pairs: list[tuple[float, float]]) -> dict[str, float]:
    feeder, training = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    return {
        "feeder_rows_per_second": round(feeder),
        "training_examples_per_second": round(training),
        "ratio": round(feeder / training, 1),
    }


def _feeder(folder: Path, batch_size: int) -> "tuple[Feeder, Any]":
    """The shard's train rows, shuffled, and the feature map."""
    from pnn_gluon.data.feature_map import FeatureMap
    from pnn_gluon.data.feeder import Feeder

    feature_map = FeatureMap.load(_manifest(folder, "maps")[1] / "map.h5")
    path, slots = _manifest(folder, "shards")[1] / f"{DAY}.h5", feature_map.layout.slots
    return Feeder([path], "train", batch_size=batch_size, slots=slots, size=feature_map.size, seed=1), feature_map


def _feeder_rate(folder: Path, batch_size: int) -> float:
    """Rows a second of a whole pass."""
    feeder, _ = _feeder(folder, batch_size)
    started = time.perf_counter()
    rows = sum(len(label) for _, label in feeder.batches())
    return rows / (time.perf_counter() - started)


class _Some:
    """The first batches of a feeder's pass."""

    def __init__(self, feeder: "Feeder", batches: int) -> None:
        self._feeder, self._batches = feeder, batches

    @property
    def fingerprint(self) -> str:
        return f"{self._feeder.fingerprint} {self._batches}"

    def batches(self, epoch: int, start_batch: int) -> "Generator[Batch, None, None]":
        with contextlib.closing(self._feeder.batches(epoch, start_batch)) as batches:
            yield from islice(batches, self._batches - start_batch)


def _training_rate(folder: Path, *, batch_size: int, learning_rate: float, **model: Any) -> float:
    """Examples a second of the training loop, after its first batches."""
    from pnn_gluon.models.registry import create_model
    from pnn_gluon.training.loop import Progress, train
    from pnn_gluon.training.options import TrainingOptions

    feeder, feature_map = _feeder(folder, batch_size)
    net = create_model("ipnn", feature_map.layout, feature_map.size, **model)
    options = TrainingOptions(learning_rate=learning_rate, embedding_l2=1e-6, checkpoint_every=WARM_UP)
    readings: list[tuple[float, int]] = []

    def read_clock(progress: Progress) -> None:
        readings.append((time.perf_counter(), progress.examples))

    train(net, _Some(feeder, WARM_UP + TIMED), options, progress=read_clock)
    (started, before), (ended, after) = readings[0], readings[-1]
    return (after - before) / (ended - started)


def _show(figures: dict[str, Any]) -> None:
    for table in _tables(figures):
        console().print(table)


def _tables(figures: dict[str, Any]) -> Iterator[Table]:
    steps = Table("process", "seconds", "rows/s", "peak MB", title=f"{figures['rows']:,} rows")
    for name, used in figures["steps"].items():
        steps.add_row(name, *(f"{value:,}" for value in used.values()))
    steps.add_row("ours / peer", str(figures["ratios"]["seconds"]), "", str(figures["ratios"]["peak_mb"]))
    yield steps
    feeding = Table("network", "feeder rows/s", "training examples/s", "ratio")
    for name, rates in figures["feeding"].items():
        feeding.add_row(name, *(f"{value:,}" for value in rates.values()))
    yield feeding


if __name__ == "__main__":
    typer.run(main)
