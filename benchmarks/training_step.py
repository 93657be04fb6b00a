"""Milliseconds of a training step of one model: ours beside PyTorch written by hand, in the same run.

    python -m benchmarks.training_step --model ipnn --variants native,plain,torch_sparse_adam,torch_dense_adam

Every variant is a process of its own that waits while another one computes; rounds go through the variants in turn.
The first round warms up and does not count. Ids are drawn from Zipf's law, 10 batches of them. The peer is installed
from the registry into an environment of its own, by the locked file benchmarks/peers.lock, and never by the product.
Ends with one JSON line: variant to median milliseconds.
"""

import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from benchmarks.peer import peer_python
from jobs.terminal import console
from pnn_gluon.runtime import available_processors

HERE = Path(__file__).parent
VARIANTS: dict[str, dict[str, str]] = {
    "native": {"file": "our_step.py", "operators": "native"},
    "plain": {"file": "our_step.py", "operators": "plain"},
    "torch_sparse_adam": {"file": "torch_step.py", "optimizer": "sparse_adam", "precision": "f32"},
    "torch_dense_adam": {"file": "torch_step.py", "optimizer": "dense_adam", "precision": "f32"},
    "torch_bf16": {"file": "torch_step.py", "optimizer": "sparse_adam", "precision": "bf16"},
}
_BATCHES = 10


def main(
    model: Annotated[str, typer.Option(help="lr, fm, ffm, deepfm, ipnn, kpnn, pin, dcn, xdeepfm or autoint")] = "ipnn",
    variants: Annotated[str, typer.Option(help=f"Of {', '.join(VARIANTS)}.")] = "native,plain,torch_sparse_adam",
    rows: Annotated[int, typer.Option(help="Rows of a batch.", min=1)] = 2000,
    ids: Annotated[int, typer.Option(help="Rows of the tables.", min=10)] = 1_000_000,
    fields: Annotated[int, typer.Option(min=2)] = 39,
    embedding_size: Annotated[int, typer.Option(min=1)] = 20,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers.")] = "700,700,700,700,700",
    rounds: Annotated[int, typer.Option(min=1)] = 7,
    steps: Annotated[int, typer.Option(help="Steps of a variant in a round.", min=1)] = 3,
    threads: Annotated[int, typer.Option(help="Default: all processors.")] = 0,
    work: Annotated[Path, typer.Option(help="Folder for batches and the peer.")] = Path("work/benchmark"),
) -> None:
    """Measure and print."""
    names = variants.split(",")
    if unknown := [name for name in names if name not in VARIANTS]:
        raise SystemExit(f"unknown variants {', '.join(unknown)}: expected some of {', '.join(VARIANTS)}")
    settings = {
        "model": model,
        "ids": ids,
        "fields": fields,
        "embedding_size": embedding_size,
        "hidden": [int(width) for width in hidden.split(",") if width],
        "threads": threads or available_processors(),
        "data": str(_batches(work, rows, ids, fields)),
    }
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(_worker(settings | VARIANTS[name], work)) for name in names}
        found: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(rounds + 1):
            for name, worker in workers.items():
                taken = _run(worker, steps)
                found[name] += taken if turn else []
    medians = {name: round(statistics.median(taken), 2) for name, taken in found.items()}
    _show(settings | {"rows": rows}, found, medians)
    print(json.dumps(medians))


def _batches(work: Path, rows: int, ids: int, fields: int) -> Path:
    work.mkdir(parents=True, exist_ok=True)
    path = work / f"batches_{rows}_{ids}_{fields}.npz"
    random = np.random.default_rng(1)
    drawn = random.zipf(1.2, (_BATCHES, rows, fields)) % (ids - 1) + 1
    np.savez(path, ids=drawn.astype(np.int32), label=(random.random(rows) < 0.3).astype(np.float32))
    return path.resolve()


@contextlib.contextmanager
def _worker(settings: dict[str, Any], work: Path) -> Iterator[subprocess.Popen[str]]:
    ours = settings["file"] == "our_step.py"
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.our_step"]
    if not ours:
        python = peer_python(work / "peers", ["-r", str(HERE / "peers.lock")])
        command = [str(python), str(HERE / settings["file"])]
    command.append(json.dumps(settings))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()


def _run(worker: "subprocess.Popen[str]", steps: int) -> list[float]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{steps}\n")
    worker.stdin.flush()
    line = worker.stdout.readline()
    if not line:
        raise SystemExit(f"a variant ended with status {worker.wait()}; its message is above")
    taken: list[float] = json.loads(line)
    return taken


def _show(settings: dict[str, Any], found: dict[str, list[float]], medians: dict[str, float]) -> None:
    what = ", ".join(f"{name} {settings[name]}" for name in ("rows", "ids", "fields", "embedding_size", "threads"))
    table = Table("variant", "median ms", "least ms", "times the first", title=f"{settings['model']}: {what}")
    first = next(iter(medians.values()))
    for name, median in medians.items():
        table.add_row(name, f"{median:.1f}", f"{min(found[name]):.1f}", f"{median / first:.2f}")
    console().print(table)


if __name__ == "__main__":
    typer.run(main)
