"""Rows a second of scoring one network: our bundle beside PyTorch and ONNX Runtime, in the same run.

    python -m benchmarks.scoring --variants f32,x3,bf16,plain,onnx,torch_f32,torch_bf16,onnxruntime,score_table

f32, x3 and bf16 are our native operators with dense layers in that precision (PNN_GLUON_PRECISION), plain is the
exported graph, onnx the same graph as `export-onnx` writes it, run by ONNX Runtime in our own environment: the engines
native, plain and onnxruntime of score-table. The torch variants run the network of `benchmarks.torch_step` in inference
mode, with and without bfloat16 autocast; onnxruntime runs what PyTorch exports of it. All score the same encoded
batches, with the same values where parameters correspond (ipnn): the table then says how far logits are from those of
the first variant. Our own variants, alone, take any network.
score_table is `pnn-gluon score-table` as a whole process, from raw Parquet to Parquet, start included.

Every variant is a process of its own that waits while another one computes; rounds go through the variants in turn.
The first round warms up and does not count. The peers are installed from the registry into an environment of their own,
by locked files, and never by the product. Ends with one JSON line: variant to rows a second.
"""

import contextlib
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from benchmarks.peer import peer_python
from benchmarks.scored_bundle import make_bundle
from benchmarks.workers import in_turns, running
from jobs.terminal import console
from pnn_gluon.runtime import available_processors

HERE = Path(__file__).parent
OURS = {
    "f32": {"PNN_GLUON_OPERATORS": "native", "PNN_GLUON_PRECISION": "f32"},
    "x3": {"PNN_GLUON_OPERATORS": "native", "PNN_GLUON_PRECISION": "x3"},
    "bf16": {"PNN_GLUON_OPERATORS": "native", "PNN_GLUON_PRECISION": "bf16"},
    "plain": {"PNN_GLUON_OPERATORS": "plain"},
    "onnx": {},
}
PEERS = ("torch_f32", "torch_bf16", "onnxruntime")
VARIANTS = (*OURS, *PEERS, "score_table")


def main(
    model: Annotated[str, typer.Option(help="A network; with peers, one of benchmarks.torch_step.")] = "ipnn",
    variants: Annotated[str, typer.Option(help=f"Of {', '.join(VARIANTS)}.")] = ",".join(VARIANTS),
    rows: Annotated[int, typer.Option(help="Rows of a batch; ours computes 4096 of them at a time.", min=1)] = 8192,
    table_rows: Annotated[int, typer.Option(help="Rows of the raw table.", min=1)] = 200_000,
    ids: Annotated[int, typer.Option(help="Rows of the id tables.", min=1000)] = 1_000_000,
    fields: Annotated[int, typer.Option(min=2)] = 39,
    embedding_size: Annotated[int, typer.Option(min=1)] = 20,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers.")] = "700,700,700,700,700",
    rounds: Annotated[int, typer.Option(min=1)] = 7,
    steps: Annotated[int, typer.Option(help="Batches of a variant in a round.", min=1)] = 3,
    threads: Annotated[int, typer.Option(help="Default: all processors.")] = 0,
    work: Annotated[Path, typer.Option(help="Folder for the bundle and the peers.")] = Path("work/benchmark"),
) -> None:
    """Measure and print."""
    names = variants.split(",")
    if unknown := [name for name in names if name not in VARIANTS]:
        raise SystemExit(f"unknown variants {', '.join(unknown)}: expected some of {', '.join(VARIANTS)}")
    asked = {"model": model, "rows": rows, "table_rows": table_rows, "ids": ids, "fields": fields}
    asked |= {"embedding_size": embedding_size, "hidden": [int(width) for width in hidden.split(",") if width]}
    settings = make_bundle(work / "scoring", asked) | {"threads": threads or available_processors()}
    ready: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        measures: dict[str, Callable[[], list[float]]] = {}
        for name in names:
            if name == "score_table":
                measures[name] = partial(_score_table, settings)
                continue
            worker = stack.enter_context(running(*_command(name, settings, work)))
            ready[name] = worker.heard()["logits"]
            measures[name] = partial(worker.ask, steps)
        found = {name: list(itertools.chain(*answers)) for name, answers in in_turns(measures, rounds).items()}
    rates = {name: [_rows(name, settings) / (1e-3 * each) for each in times] for name, times in found.items()}
    _show(settings, rates, ready)
    print(json.dumps({name: round(statistics.median(each)) for name, each in rates.items()}))


def _rows(name: str, settings: dict[str, Any]) -> int:
    """Rows of a step of a variant."""
    return int(settings["table_rows" if name == "score_table" else "rows"])


def _command(name: str, settings: dict[str, Any], work: Path) -> tuple[list[str], dict[str, str]]:
    """How a variant's worker is started, and its environment."""
    threads = {"OMP_NUM_THREADS": str(settings["threads"])}
    if name in OURS:
        start = [sys.executable, "-W", "ignore", "-m", "benchmarks.our_scoring"]
        engine = {"engine": "onnxruntime" if name == "onnx" else "native"}
        return [*start, json.dumps(settings | engine)], threads | OURS[name]
    packages = [word for lock in ("peers.lock", "onnx.lock") for word in ("-r", str(HERE / lock))]
    python = peer_python(work / "peers", packages)
    return [str(python), str(HERE / "peer_scoring.py"), json.dumps(settings | {"peer": name})], threads


def _score_table(settings: dict[str, Any]) -> list[float]:
    """Milliseconds of the command from start to exit."""
    folder = Path(settings["folder"])
    command = [sys.executable, "-W", "ignore", "-m", "jobs", "score-table", str(folder / "bundle")]
    command += [str(folder / "table.parquet"), str(folder / "scores.parquet"), "--overwrite", "--columns", "row_id"]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return [1e3 * (time.perf_counter() - started)]


def _show(settings: dict[str, Any], rates: dict[str, list[float]], logits: dict[str, Any]) -> None:
    told = ("rows", "table_rows", "ids", "fields", "embedding_size", "threads")
    title = f"{settings['model']}: " + ", ".join(f"{name} {settings[name]}" for name in told)
    table = Table("variant", "median rows/s", "most rows/s", "times the first", "logits off by", title=title)
    medians = {name: statistics.median(each) for name, each in rates.items()}
    first, expected = next(iter(medians.values())), next(iter(logits.values()), None)
    for name, median in medians.items():
        known = logits.get(name) is not None and expected is not None
        off = f"{np.abs(np.subtract(logits[name], expected)).max():.1e}" if known else ""
        table.add_row(name, f"{median:,.0f}", f"{max(rates[name]):,.0f}", f"{median / first:.2f}", off)
    console().print(table)


if __name__ == "__main__":
    typer.run(main)
