"""The whole set of metrics over many rows of (label, logit, weight), and scikit-learn over as many as it can hold.

    python -m benchmarks.metrics [--rows 100000000] [--peer-mb 4000] [--rounds 3] [--processes 2]

Ours: log loss, NE, RIG and PCOC, and from one histogram AUC with its bound, equal-mass ECE, Brier score with its parts
and RMSE; `with intervals` also the bootstrap's sums, of rows, and the bounds of six metrics. Rows come in chunks, made
from a seed (their making is not counted), in so many processes, each of which adds up its share; the states are merged
at the end. `a day's`: `DayMetrics`, as the step `evaluate` adds them up in one process, without weights, with intervals
and with the exact AUC of logits and of probabilities, whose memory grows with distinct scores. scikit-learn:
roc_auc_score, log_loss, brier_score_loss, and calibration_curve with 20 quantile bins, on the first of the same rows,
all at once, in one process: as many as `--peer-mb` holds, by the peaks of two small numbers of rows; `a day's` has as
many. Rows a second are medians over rounds; peak memory is that of a process, with its libraries, on Linux. The last
line is JSON.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.arrays import class_weights
from pnn_gluon.evaluation.day_metrics import DayMetrics
from pnn_gluon.evaluation.log_loss import NormalizedEntropy
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.pcoc import Pcoc
from pnn_gluon.evaluation.poisson import mixed
from pnn_gluon.evaluation.resampling import SCALES, Resampling
from pnn_gluon.evaluation.score_histogram import ScoreHistogram
from pnn_gluon.processor import processor_name

CHUNK = 65_536
REPEATS = 200
PROBES = 200_000, 800_000
"""Rows of which the memory is measured that scikit-learn takes for a row."""


class States(NamedTuple):
    """What a share of the rows adds up to."""

    entropy: NormalizedEntropy = NormalizedEntropy()
    pcoc: Pcoc = Pcoc()
    histogram: ScoreHistogram = ScoreHistogram()
    sample: Resampling = Resampling()


class Share(NamedTuple):
    """A process' part of the work: its states, the seconds they took, and the peak of its memory in MB."""

    states: States
    seconds: float
    peak: float


def chunk(number: int, rows: int) -> tuple[NDArray[np.float32], Floats, Floats]:
    """Label, logit and weight of some rows: one in thirty clicked, weights from 0.5 to 1.5."""
    generator = np.random.default_rng(number)
    logit = generator.normal(-4, 1.3, rows)
    label = (generator.random(rows) < sigmoid(logit)).astype(np.float32)
    return label, logit + 0.05, generator.random(rows) + 0.5


def share_of_rows(first: int, rows: int, intervals: bool) -> Share:
    """Add up rows from chunk `first` on."""
    states, seconds = States(), 0.0
    for number, start in enumerate(range(0, rows, CHUNK), first):
        label, logit, weight = chunk(number, min(CHUNK, rows - start))
        units = mixed(np.arange(start, start + label.size, dtype=np.uint64) + np.uint64(first * CHUNK))
        began = time.perf_counter()
        states = add(states, units if intervals else None, label, logit, weight)
        seconds += time.perf_counter() - began
    return Share(states, seconds, peak_mb())


def add(states: States, units: Any, label: Any, logit: Floats, weight: Floats) -> States:
    """Add a chunk."""
    clicks, others = class_weights(label, weight)
    return States(
        states.entropy.add_logits(clicks, others, logit),
        states.pcoc.add(clicks, others, sigmoid(logit)),
        states.histogram.add_logits(clicks, others, logit),
        states.sample if units is None else states.sample.update(units, label, logit, weight=weight),
    )


def whole_set(rows: int, processes: int, intervals: bool) -> dict[str, Any]:
    """All metrics of all rows: rows a second of all processes together, peak memory of one, and the numbers."""
    chunks = -(-rows // CHUNK // processes)
    firsts = range(0, chunks * processes, chunks)
    sizes = [min(rows, (first + chunks) * CHUNK) - min(rows, first * CHUNK) for first in firsts]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        shares = list(pool.map(share_of_rows, firsts, sizes, [intervals] * processes))
    began = time.perf_counter()
    merged = States(*(sum(column[1:], column[0]) for column in zip(*(share.states for share in shares), strict=True)))
    numbers = told(merged, intervals)
    seconds = max(share.seconds for share in shares) + time.perf_counter() - began
    return {"rows_per_second": rows / seconds, "peak_mb": max(share.peak for share in shares), "numbers": numbers}


def told(states: States, intervals: bool) -> dict[str, float]:
    """The numbers."""
    auc, ece, brier = states.histogram.auc(), states.histogram.ece(), states.histogram.brier()
    numbers = {"auc": auc.value, "auc_bound": auc.bound, "ece": ece.value, "ece_bound": ece.bound, **vars(brier)}
    numbers |= {"log_loss": states.entropy.log_loss.value(), "rig": states.entropy.rig(), "pcoc": states.pcoc.value()}
    drawn = states.sample.draws(REPEATS, seed=1) if intervals else None
    if drawn is not None:
        for metric in SCALES:
            bounds = drawn.interval(metric)
            assert bounds is not None
            numbers |= {f"{metric}_low": bounds.low, f"{metric}_high": bounds.high}
    return numbers


def day(rows: int) -> dict[str, Any]:
    """The metrics of a day of so many rows."""
    metrics, seconds = DayMetrics(), 0.0
    for number, start in enumerate(range(0, rows, CHUNK)):
        label, logit, _ = chunk(number, min(CHUNK, rows - start))
        units, model_logit = mixed(np.arange(start, start + label.size, dtype=np.uint64)), logit.astype(np.float32)
        began = time.perf_counter()
        metrics = metrics.update(units, {}, label, model_logit, sigmoid(logit), logit)
        seconds += time.perf_counter() - began
    began = time.perf_counter()
    numbers, (bounds, _) = metrics.summary(), metrics.intervals(False, REPEATS, min_clicks=10)
    seconds += time.perf_counter() - began
    return {"rows_per_second": rows / seconds, "peak_mb": peak_mb(), "numbers": numbers, "intervals": bounds}


def scikit_learn(rows: int) -> dict[str, Any]:
    """What it has of these metrics, on the same rows at once."""
    import sklearn.calibration
    import sklearn.metrics

    label, p, weight = np.empty(rows, np.float32), np.empty(rows), np.empty(rows)
    for number, start in enumerate(range(0, rows, CHUNK)):
        some = slice(start, min(start + CHUNK, rows))
        label[some], logit, weight[some] = chunk(number, some.stop - start)
        p[some] = sigmoid(logit)
    began = time.perf_counter()
    numbers = {
        "auc": sklearn.metrics.roc_auc_score(label, p, sample_weight=weight),
        "log_loss": sklearn.metrics.log_loss(label, p, sample_weight=weight),
        "brier": sklearn.metrics.brier_score_loss(label, p, sample_weight=weight),
    }
    sklearn.calibration.calibration_curve(label, p, n_bins=20, strategy="quantile")
    return {"rows_per_second": rows / (time.perf_counter() - began), "peak_mb": peak_mb(), "numbers": numbers}


def rows_within(limit: float, few: float, more: float) -> int:
    """So many rows have a peak of `limit` MB, when those of `PROBES` have peaks of `few` and `more`.

    Raises:
        ValueError: the limit is below what the larger probe takes.
    """
    if limit < more:
        raise ValueError(f"--peer-mb: expected at least {more:,.0f}, which {PROBES[1]:,} rows take; received {limit:,}")
    return int(PROBES[0] + (limit - few) / (more - few) * (PROBES[1] - PROBES[0]))


def peak_mb() -> float:
    """Of this process so far; `ru_maxrss` would tell its parent's, where that had more when it started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def alone(measure: Callable[[int], dict[str, Any]], rows: int) -> dict[str, Any]:
    """What it measures in a process of its own, whose peak is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, rows).result()


def main(
    rows: Annotated[int, typer.Option(help="Rows that we measure.")] = 100_000_000,
    peer_mb: Annotated[int, typer.Option(help="Memory that scikit-learn fills with rows.")] = 4000,
    rounds: Annotated[int, typer.Option(help="How often.")] = 3,
    processes: Annotated[int, typer.Option(help="That share our rows.")] = 2,
) -> None:
    """Measure in turn, and tell."""
    peer_rows = min(rows, rows_within(peer_mb, *(alone(scikit_learn, probe)["peak_mb"] for probe in PROBES)))
    variants: dict[str, Callable[[], dict[str, Any]]] = {
        "ours": lambda: whole_set(rows, processes, intervals=False),
        "ours with intervals": lambda: whole_set(rows, processes, intervals=True),
        "a day's": lambda: alone(day, peer_rows),
        "scikit-learn": lambda: alone(scikit_learn, peer_rows),
    }
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, measure in variants.items():
            measured[name].append(measure())
    for name, value in measured["ours with intervals"][-1]["numbers"].items():
        print(f"    {name:24} {value:.9f}", file=sys.stderr)
    told_figures = {name: medians(name, found) for name, found in measured.items()}
    asked = {"rows": rows, "peer_rows": peer_rows, "peer_mb": peer_mb, "processes": processes, "rounds": rounds}
    print(json.dumps({"processor": processor_name(), "load": os.getloadavg()[0], **asked, **told_figures}))


def medians(name: str, found: list[dict[str, Any]]) -> dict[str, int]:
    """Of the rounds: rows a second and peak memory, which are printed."""
    speed, peak = (statistics.median(each[key] for each in found) for key in ("rows_per_second", "peak_mb"))
    print(f"{name:20} {speed:14,.0f} rows/s {peak:8,.0f} MB")
    return {"rows_per_second": round(speed), "peak_mb": round(peak)}


if __name__ == "__main__":
    typer.run(main)
