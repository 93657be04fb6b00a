"""gluonnlp's counter, vocabulary and optimizer beside ours, as ratios: python -m benchmarks.gluonnlp_parts

One JSON line: seconds of each, medians of rounds that alternate.
"""

import json
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import duckdb
import numpy as np
import pyarrow as pa
import typer

from pnn_gluon.runtime import mx
from pnn_gluon.training.adamw import AdamW

IDS, SIZE, TOUCHED = 1_000_000, 20, 50_000


def main(
    values: Annotated[int, typer.Option(help="Values to count.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(help="Of which the median counts.")] = 3,
) -> None:
    """Measure and print."""
    warnings.filterwarnings("ignore")
    seconds = _alternate({**_counting(values), **_optimizers()}, rounds)
    ratios = {
        "count": seconds["Counter and Vocab"] / seconds["SQL"],
        "sparse step": seconds["BERTAdam, sparse gradient"] / seconds["AdamW, sparse gradient"],
        "dense step": seconds["BERTAdam, dense gradient"] / seconds["AdamW, dense gradient"],
    }
    rounded = {name: round(value, 4) for name, value in seconds.items()}
    print(json.dumps({"seconds": rounded, "gluonnlp / ours": {k: round(v, 2) for k, v in ratios.items()}}))


def _counting(values: int) -> dict[str, Callable[[], Any]]:
    """Counts of values drawn as categories are, those below 5 left out, in the order of their counts."""
    import gluonnlp

    texts = np.random.default_rng(1).zipf(1.2, values).clip(max=2**31).astype(str)
    column, tokens = pa.table({"value": texts}), texts.tolist()

    def by_sql() -> None:
        with duckdb.connect() as connection:
            connection.register("column", column)
            connection.sql(
                'select value, count(*) as n from "column" group by value having n >= 5 order by n desc, value'
            ).fetchall()

    def by_gluonnlp() -> None:
        gluonnlp.Vocab(gluonnlp.data.count_tokens(tokens), min_freq=5)

    return {"SQL": by_sql, "Counter and Vocab": by_gluonnlp}


def _optimizers() -> dict[str, Callable[[], Any]]:
    """One step on a table of ids, with a gradient of some rows, and on a dense layer."""
    import gluonnlp

    rows = np.sort(np.random.default_rng(1).choice(IDS, TOUCHED, replace=False))
    some = mx.nd.sparse.row_sparse_array((np.ones((TOUCHED, SIZE), np.float32), rows), shape=(IDS, SIZE))
    all_ = mx.nd.ones((700, 780))
    runs: dict[str, Callable[[], Any]] = {}
    for kind, gradient, shape in (("sparse", some, (IDS, SIZE)), ("dense", all_, (700, 780))):
        names = {0: "embedding0_weight" if kind == "sparse" else "dense0_weight"}
        runs[f"AdamW, {kind} gradient"] = _step(
            AdamW(epsilon=1e-8, lazy_update=True, catch_up=False, wd=0.01, param_idx2name=names), gradient, shape
        )
        runs[f"BERTAdam, {kind} gradient"] = _step(
            gluonnlp.optimizer.BERTAdam(wd=0.01, param_idx2name=names), gradient, shape
        )
    return runs


def _step(optimizer: Any, gradient: Any, shape: tuple[int, int]) -> Callable[[], Any]:
    weight = mx.nd.ones(shape)
    state = optimizer.create_state_multi_precision(0, weight)

    def step() -> None:
        optimizer.update_multi_precision(0, weight, gradient, state)
        weight.wait_to_read()

    return step


def _alternate(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each, after one run that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


if __name__ == "__main__":
    typer.run(main)
