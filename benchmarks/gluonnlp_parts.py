"""gluonnlp's counter, vocabulary, batches and optimizer beside ours, as ratios: python -m benchmarks.gluonnlp_parts

One JSON line: seconds of each, medians of rounds that alternate.
"""

import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import duckdb
import numpy as np
import pyarrow as pa
import typer

from pnn_gluon.config import MultiField
from pnn_gluon.data.feeder import Feeder
from pnn_gluon.data.shards import ShardWriter
from pnn_gluon.experiments.encoded import encode_parts
from pnn_gluon.experiments.rows import Rows
from pnn_gluon.runtime import mx
from pnn_gluon.training.adamw import AdamW

IDS, SIZE, TOUCHED = 1_000_000, 20, 50_000
FIELDS, VALUES, BATCH = 20, 8, 2000
"""Single-valued fields of a row, values at most of its one multi-valued field, rows of a batch."""


def main(
    values: Annotated[int, typer.Option(help="Values to count.")] = 1_000_000,
    rows: Annotated[int, typer.Option(help="Rows to encode and to make batches of.")] = 200_000,
    rounds: Annotated[int, typer.Option(help="Of which the median counts.")] = 3,
) -> None:
    """Measure and print."""
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        runs = {**_counting(values), **_encoding(rows), **_batches(rows, Path(folder)), **_optimizers()}
        seconds = _alternate(runs, rounds)
    ratios = {
        "count": seconds["Counter and Vocab"] / seconds["SQL"],
        "encode": seconds["Vocab and Pad"] / seconds["encode_parts"],
        "batches": seconds["FixedBucketSampler, Stack, Pad"] / seconds["Feeder"],
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


def _encoding(rows: int) -> dict[str, Callable[[], Any]]:
    """Texts of 1 to `VALUES` values: those of 5 rows and more get ids, then rows of ids, padded."""
    import gluonnlp

    draws = np.random.default_rng(1)
    values, ends = draws.zipf(1.2, rows * VALUES).clip(max=2**31).astype(str), _ends(draws, rows)
    texts = ["|".join(each) for each in np.split(values[: ends[-1]], ends[:-1])]
    fields = (MultiField(name="tags", kind="multi", max_values=VALUES),)
    ours = Rows(np.zeros(rows, np.float32), fields, pa.table({"tags": texts}))
    pad = gluonnlp.data.batchify.Pad(pad_val=0, dtype=np.int32)

    def by_gluonnlp() -> None:
        tokens = [text.split("|") for text in texts]
        vocabulary = gluonnlp.Vocab(gluonnlp.data.count_tokens(each for row in tokens for each in row), min_freq=5)
        pad([vocabulary[row] for row in tokens])

    return {"encode_parts": lambda: encode_parts([ours], 5), "Vocab and Pad": by_gluonnlp}


def _ends(draws: np.random.Generator, rows: int) -> Any:
    """Where the values of each row end, of one to `VALUES`."""
    return draws.integers(1, VALUES, rows, endpoint=True).cumsum()


def _batches(rows: int, folder: Path) -> dict[str, Callable[[], Any]]:
    """One shuffled pass in batches on the device: ours from a shard on disk, gluonnlp's from rows in memory."""
    import gluonnlp

    draws = np.random.default_rng(1)
    single, ends = draws.integers(1, IDS, (rows, FIELDS), np.int32), _ends(draws, rows)
    tags = np.split(draws.integers(1, IDS, ends[-1], np.int32), ends[:-1])
    label = draws.integers(0, 2, rows).astype(np.float32)
    padded = np.zeros((rows, VALUES), np.int32)
    padded[np.arange(VALUES) < np.diff(ends, prepend=0)[:, None]] = np.concatenate(tags)
    slots = FIELDS + VALUES
    with ShardWriter(folder / "rows.h5", day="2026-11-01", slots=slots, rate=1.0, size=IDS) as shard:
        shard.append("train", np.concatenate((single, padded), axis=1), label)
    feeder = Feeder([folder / "rows.h5"], "train", batch_size=BATCH, slots=slots, size=IDS)
    samples, lengths = list(zip(single, tags, label, strict=True)), [len(each) for each in tags]
    parts = gluonnlp.data.batchify
    together = parts.Tuple(parts.Stack(np.int32), parts.Pad(pad_val=0, dtype=np.int32), parts.Stack(np.float32))

    def by_feeder() -> None:
        for ids, labels in feeder.batches():
            mx.nd.array(ids, dtype="int32"), mx.nd.array(labels)
        mx.nd.waitall()

    def by_gluonnlp() -> None:
        for chosen in gluonnlp.data.FixedBucketSampler(lengths, BATCH, num_buckets=VALUES, shuffle=True):
            together([samples[row] for row in chosen])
        mx.nd.waitall()

    return {"Feeder": by_feeder, "FixedBucketSampler, Stack, Pad": by_gluonnlp}


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
