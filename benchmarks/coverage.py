"""How often 95 % intervals hold the truth: small sets of rows drawn again and again from worlds whose truth is known.

    python -m benchmarks.coverage [--repetitions 2000] [--repeats 200]

Kinds of rows: `rows` are independent, `few clicks` too but with 25 clicks or so, `clusters` have some 80 users whose
rows share what they like and how far the models are off. Of each metric and of the difference of two models on the
same rows: the Poisson bootstrap as `evaluate` and the gate use it; `rows bootstrap`, which takes the clusters' rows for
independent, and how wide it is in shares of the clusters' (`its width`); the percentiles of the same draws; DeLong's
interval for AUC. The truth is that of two million rows, whose own error is a seventieth of a set's. The last line is
JSON: {kind: {metric: {method: coverage}}}.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import numpy as np
import typer

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.auc import Auc
from pnn_gluon.evaluation.delong import delong_interval, paired_delong
from pnn_gluon.evaluation.identity import Identities
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.poisson import mixed
from pnn_gluon.evaluation.resampling import Draws, Metric, Resampling

METRICS: tuple[Metric, ...] = ("auc", "log_loss", "normalized_entropy", "pcoc", "brier", "rmse")
TRUTH_ROWS = 2_000_000
ROWS_ALONE = "rows bootstrap"
NARROW = "its width"
"""Of the interval that takes rows for independent, as a share of that of clusters."""
PAIR = (1.0, -1.0)
ONE = (1.0, 0.0)

Rows: TypeAlias = tuple[Identities, Floats, Floats, Floats]
"""Cluster, label, and the logits of two models, each (n,)."""
Bounds: TypeAlias = tuple[str, str, float, float]
"""Metric, method, low, high."""


@dataclass(frozen=True)
class World:
    """Where rows come from.

    Attributes:
        rows: Of a set.
        mean: Of the true logit.
        cluster_rows: Mean size of a cluster; 0 for independent rows.
    """

    rows: int
    mean: float
    cluster_rows: float = 0

    def draw(self, generator: np.random.Generator, rows: int) -> Rows:
        """So many rows."""
        if self.cluster_rows:
            sizes = generator.geometric(1 / self.cluster_rows, rows)
            cluster = np.repeat(np.arange(rows), sizes)[:rows]
        else:
            cluster = np.arange(rows)
        taste, first_off, second_off = (generator.normal(0, spread, rows)[cluster] for spread in (1, 0.5, 0.5))
        logit = self.mean + taste + generator.normal(0, 0.8, rows)
        label = (generator.random(rows) < sigmoid(logit)).astype(np.float64)
        first = logit - 0.7 * taste + first_off
        second = logit - 0.7 * taste + second_off + generator.normal(0, 0.5, rows)
        return cluster.astype(np.uint64), label, first, second


WORLDS = {
    "rows": World(400, -1.5),
    "few clicks": World(500, -3.6),
    "clusters": World(400, -1.5, cluster_rows=5),
}


def main(
    repetitions: Annotated[int, typer.Option(help="Sets drawn of each kind.")] = 2000,
    repeats: Annotated[int, typer.Option(help="Draws of a bootstrap.")] = 200,
    only: Annotated[str, typer.Option(help="Kinds of rows, separated by commas; default: all.")] = "",
) -> None:
    """Measure and tell."""
    told = {}
    for kind in only.split(",") if only else WORLDS:
        told[kind] = coverage(WORLDS[kind], repetitions, repeats)
        show(kind, told[kind])
    print(json.dumps(told))


def coverage(world: World, repetitions: int, repeats: int) -> dict[str, dict[str, float]]:
    """The share of sets whose interval holds the truth, by metric and method, and `NARROW`."""
    truths = true_values(world)
    held: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    width: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for number in range(repetitions):
        rows = world.draw(np.random.default_rng([world.rows, number]), world.rows)
        for metric, method, low, high in intervals(rows, repeats, number, bool(world.cluster_rows)):
            held[metric][method] += low <= truths[metric] <= high
            width[metric][method] += high - low
    found = {
        metric: {name: round(n / repetitions, 4) for name, n in methods.items()} for metric, methods in held.items()
    }
    for metric, widths in width.items():
        if ROWS_ALONE in widths:
            found[metric][NARROW] = round(widths[ROWS_ALONE] / widths["bootstrap"], 3)
    return found


def true_values(world: World) -> dict[str, float]:
    """Of the first model, and of the difference of both, by metric."""
    cluster, label, first, second = world.draw(np.random.default_rng(0), TRUTH_ROWS)
    drawn = Resampling().update(cluster, label, first, second).draws(2, seed=0)
    assert drawn is not None
    found = {}
    for contrast, name in ((ONE, "{}"), (PAIR, "{} difference")):
        for metric in METRICS:
            interval = drawn.interval(metric, contrast=contrast)
            assert interval is not None
            found[name.format(metric)] = interval.value
    one, two = (Auc().update(label, scores).value() for scores in (first, second))
    return {**found, "auc": one, "auc difference": one - two}


def intervals(rows: Rows, repeats: int, seed: int, clustered: bool) -> Iterator[Bounds]:
    """Every interval of a set of rows."""
    cluster, label, first, second = rows
    drawn = Resampling().update(mixed(cluster), label, first, second).draws(repeats, seed)
    assert drawn is not None
    yield from bootstrap_intervals(drawn, "bootstrap")
    yield from percentiles(drawn)
    if clustered:
        alone = Resampling().update(np.arange(label.size, dtype=np.uint64), label, first, second).draws(repeats, seed)
        assert alone is not None
        yield from bootstrap_intervals(alone, ROWS_ALONE)
    single, pair = delong_interval(Auc().update(label, first)), paired_delong(label, first, second)
    if single is not None:
        yield "auc", "delong", single.low, single.high
    yield "auc difference", "delong", pair.low, pair.high


def bootstrap_intervals(drawn: Draws, method: str) -> Iterator[Bounds]:
    """Those in use."""
    for metric in METRICS:
        for contrast, name in ((ONE, metric), (PAIR, f"{metric} difference")):
            found = drawn.interval(metric, contrast=contrast)
            if found is not None:
                yield name, method, found.low, found.high


def percentiles(drawn: Draws) -> Iterator[Bounds]:
    """Percentiles of the same draws (Efron 1979), which earlier releases used."""
    for metric in METRICS:
        one, two = drawn.values(metric)[:, 1:]
        for values, name in ((one, metric), (one - two, f"{metric} difference")):
            low, high = np.quantile(values[np.isfinite(values)], [0.025, 0.975])
            yield name, "percentiles", float(low), float(high)


def show(kind: str, found: dict[str, dict[str, float]]) -> None:
    """As a table."""
    methods = list(dict.fromkeys(method for of_metric in found.values() for method in of_metric))
    print(f"{kind:32}" + "".join(f"{method:>16}" for method in methods))
    for metric, of_metric in found.items():
        cells = (f"{of_metric[method]:16.3f}" if method in of_metric else " " * 16 for method in methods)
        print(f"{metric:32}" + "".join(cells))


if __name__ == "__main__":
    typer.run(main)
