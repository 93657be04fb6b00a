"""Milliseconds of a training step of one model: ours, PyTorch written by hand (its MLP compiled too), FuxiCTR and
DeepCTR-Torch, in one run.

    python -m benchmarks.training_step --model ipnn --variants f32,plain,torch_sparse_adam,torch_dense_adam

Every variant is a process of its own that waits while another one computes; rounds go through the variants in turn.
The first round warms up and does not count. Ids are drawn from Zipf's law, 10 batches of them. Peers are installed from
the registry into environments of their own, by the locked files benchmarks/*.lock, and never by the product.

In the same rounds the limit of the machine is measured: the fastest of matrix products of several sizes, float32 and
bfloat16 (`torch_peak.py`). The share of the limit is the arithmetic that the network needs (`arithmetic.py`) by the
time of a step and that limit; for x3, three products of bfloat16 for one, by a third of the limit of bfloat16.
Ends with one JSON line: variant to median milliseconds.
"""

import contextlib
import itertools
import json
import statistics
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from benchmarks.arithmetic import MODELS, Network, step_gflop
from benchmarks.workers import in_turns, our_command, peer_command, running
from jobs.terminal import console
from pnn_gluon.processor import processor_name
from pnn_gluon.runtime import available_processors

_TORCH = {"file": "torch_step.py", "environment": "peers", "compiled": False}
_FUXICTR = {"file": "fuxictr_step.py", "environment": "fuxictr", "precision": "f32"}
_DEEPCTR = {"file": "deepctr_torch_step.py", "environment": "deepctr_torch", "precision": "f32"}
VARIANTS: dict[str, dict[str, Any]] = {
    "f32": {"file": "our_step.py", "operators": "native", "precision": "f32"},
    "x3": {"file": "our_step.py", "operators": "native", "precision": "x3"},
    "bf16": {"file": "our_step.py", "operators": "native", "precision": "bf16"},
    "plain": {"file": "our_step.py", "operators": "plain", "precision": "f32"},
    "torch_sparse_adam": {**_TORCH, "optimizer": "sparse_adam", "precision": "f32"},
    "torch_dense_adam": {**_TORCH, "optimizer": "dense_adam", "precision": "f32"},
    "torch_bf16": {**_TORCH, "optimizer": "sparse_adam", "precision": "bf16"},
    "torch_compiled": {**_TORCH, "optimizer": "sparse_adam", "precision": "f32", "compiled": True},
    "torch_compiled_bf16": {**_TORCH, "optimizer": "sparse_adam", "precision": "bf16", "compiled": True},
    "fuxictr": {**_FUXICTR, "regularizer": 0.0},
    "fuxictr_l2": {**_FUXICTR, "regularizer": 1e-8},
    "deepctr_torch": {**_DEEPCTR, "regularizer": 0.0},
    "deepctr_torch_l2": {**_DEEPCTR, "regularizer": 1e-5},
}
"""Libraries with and without L2 on their tables: a pass over all of them; without is what ours and PyTorch do here."""
_LIBRARY_MODELS = {
    "fuxictr": ("lr", "fm", "deepfm", "ipnn", "dcn", "xdeepfm"),
    "deepctr_torch": ("fm", "deepfm", "ipnn", "kpnn", "dcn", "xdeepfm", "autoint"),
}
_WITHOUT_MLP = ("lr", "fm", "ffm")
_BATCHES = 10
_PRODUCTS_OF_A_ROUND = 3
_LIMIT = "limit of the machine"


def main(
    model: Annotated[str, typer.Option(help=", ".join(MODELS))] = "ipnn",
    variants: Annotated[str, typer.Option(help=f"Of {', '.join(VARIANTS)}.")] = "f32,plain,torch_sparse_adam",
    rows: Annotated[int, typer.Option(help="Rows of a batch.", min=1)] = 2000,
    ids: Annotated[int, typer.Option(help="Rows of the tables.", min=10)] = 1_000_000,
    fields: Annotated[int, typer.Option(min=2)] = 39,
    embedding_size: Annotated[int, typer.Option(min=1)] = 20,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers.")] = "700,700,700,700,700",
    rounds: Annotated[int, typer.Option(min=1)] = 7,
    steps: Annotated[int, typer.Option(help="Steps of a variant in a round.", min=1)] = 3,
    threads: Annotated[int, typer.Option(help="Default: all processors.")] = 0,
    work: Annotated[Path, typer.Option(help="Folder for batches and the peers.")] = Path("work/benchmark"),
) -> None:
    """Measure and print."""
    names = variants.split(",")
    if unknown := [name for name in names if name not in VARIANTS]:
        raise SystemExit(f"unknown variants {', '.join(unknown)}: expected some of {', '.join(VARIANTS)}")
    if model not in MODELS:
        raise SystemExit(f"unknown model {model}: expected one of {', '.join(MODELS)}")
    if missing := [name for name in names if not has_model(name, model)]:
        raise SystemExit(f"no {model} in {', '.join(missing)}: leave them out")
    settings = {
        "model": model,
        "ids": ids,
        "fields": fields,
        "embedding_size": embedding_size,
        "hidden": [int(width) for width in hidden.split(",") if width],
        "threads": threads or available_processors(),
        "data": str(draw_batches(work, rows, ids, fields)),
    }
    found, peak = _measure(settings, names, rounds, steps, work)
    gflop = step_gflop(model, Network(fields, embedding_size, tuple(settings["hidden"])), rows)
    medians = {name: round(statistics.median(taken), 2) for name, taken in found.items()}
    _show(settings | {"rows": rows}, found, medians, gflop, peak)
    print(json.dumps(medians))


def has_model(variant: str, model: str) -> bool:
    """Whether this variant can compute this model, and is another than without compiling."""
    if VARIANTS[variant].get("compiled") and model in _WITHOUT_MLP:
        return False
    return model in _LIBRARY_MODELS.get(VARIANTS[variant].get("environment", ""), MODELS)


def draw_batches(work: Path, rows: int, ids: int, fields: int) -> Path:
    """A file of ids (10, rows, fields) by Zipf's law over all ids, and labels (rows,)."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / f"batches_{rows}_{ids}_{fields}.npz"
    random = np.random.default_rng(1)
    drawn = random.zipf(1.2, (_BATCHES, rows, fields)) % (ids - 1) + 1
    np.savez(path, ids=drawn.astype(np.int32), label=(random.random(rows) < 0.3).astype(np.float32))
    return path.resolve()


def _measure(
    settings: dict[str, Any], names: list[str], rounds: int, steps: int, work: Path
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Milliseconds of the steps of every variant, and the largest GFLOP/s of matrix products by precision."""
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(running(_command(settings | VARIANTS[name], work))) for name in names}
        limit = stack.enter_context(running(peer_command("torch_peak.py", "peers", settings, work)))
        measures = {name: partial(worker.ask, steps) for name, worker in workers.items()}
        answers = in_turns({**measures, _LIMIT: partial(limit.ask, _PRODUCTS_OF_A_ROUND)}, rounds)
    rates = answers.pop(_LIMIT)
    peak = {name: max(rate[name] for rate in rates) for name in ("f32", "bf16")}
    return {name: list(itertools.chain(*taken)) for name, taken in answers.items()}, peak


def _command(settings: dict[str, Any], work: Path) -> list[str]:
    if settings["file"] == "our_step.py":
        return our_command(settings)
    return peer_command(settings["file"], settings["environment"], settings, work)


def _show(
    settings: dict[str, Any],
    found: dict[str, list[float]],
    medians: dict[str, float],
    gflop: float,
    peak: dict[str, float],
) -> None:
    what = ", ".join(f"{name} {settings[name]}" for name in ("rows", "ids", "fields", "embedding_size", "threads"))
    limits = {"f32": peak["f32"], "x3": peak["bf16"] / 3, "bf16": peak["bf16"]}
    table = Table("variant", "median ms", "least ms", "times the first", "GFLOP/s", "of the limit")
    first = next(iter(medians.values()))
    for name, median in medians.items():
        rate = 1e3 * gflop / median
        share = f"{rate / limits[VARIANTS[name]['precision']]:.1%}"
        times = f"{median / first:.2f}"
        table.add_row(name, f"{median:.1f}", f"{min(found[name]):.1f}", times, f"{rate:.3g}", share)
    console().print(f"{settings['model']}: {what}; {gflop:.3g} GFLOP a step; {processor_name()}")
    console().print(table)
    console().print(f"limit: {peak['f32']:.0f} GFLOP/s float32, {peak['bf16']:.0f} bfloat16")


if __name__ == "__main__":
    typer.run(main)
