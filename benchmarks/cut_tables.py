"""What it costs that a table of ids is cut into several tensors: lookups, their gradient, and AdaGrad's update.

    python -m benchmarks.cut_tables [--ids 1000000] [--parts 1,2,8,64] [--rounds 12]

Milliseconds of processor time a step of a batch whose ids are drawn by Zipf's law, all threads together; the numbers of
parts take turns, and the median of the rounds counts. Ends with one JSON line.
"""

import json
import statistics
import time
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from jobs.terminal import console
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import operators
from pnn_gluon.processor import processor_name
from pnn_gluon.runtime import Tensor, mx

ROWS, SLOTS, SIZE, STEPS = 2000, 39, 16, 20


def main(
    ids: Annotated[int, typer.Option(help="Rows of the table.")] = 1_000_000,
    parts: Annotated[str, typer.Option(help="Numbers of parts, separated by commas.")] = "1,2,8,64",
    rounds: Annotated[int, typer.Option(help="Rounds of 20 steps for each.")] = 12,
) -> None:
    """Measure, and print."""
    served = operators()
    if served == "plain":
        raise ConfigError(
            "only native operators take tables of several tensors: `pnn-gluon doctor` says why none serve"
        )
    random = np.random.default_rng(0)
    batches = [
        mx.nd.array((random.zipf(1.2, (ROWS, SLOTS)) % ids).astype(np.int32), dtype="int32") for _ in range(STEPS)
    ]
    gradient = mx.nd.array(random.normal(size=(ROWS, SLOTS, SIZE)))
    tables = {number: _table(ids, int(number)) for number in parts.split(",")}
    spent: dict[str, list[float]] = {number: [] for number in tables}
    for _ in range(rounds):
        for number, table in tables.items():
            spent[number].append(_milliseconds(table, batches, gradient))
    found = {number: round(statistics.median(each), 2) for number, each in spent.items()}
    shown = Table("parts", "ms of processor time a step")
    for number, each in found.items():
        shown.add_row(number, str(each))
    console().print(shown)
    print(json.dumps({"processor": processor_name(), "operators": served, "ids": ids, "cpu_ms": found}))


def _table(ids: int, parts: int) -> list[tuple[Tensor, Tensor]]:
    """The parts of a table, with AdaGrad's sums of each."""
    rows = -(-ids // parts)
    weights = [mx.nd.random.uniform(shape=(min(rows, ids - start), SIZE)) for start in range(0, ids, rows)]
    for weight in weights:
        weight.attach_grad(stype="row_sparse")
    return [(weight, mx.nd.zeros_like(weight)) for weight in weights]


def _milliseconds(table: list[tuple[Tensor, Tensor]], batches: list[Tensor], gradient: Tensor) -> float:
    mx.nd.waitall()
    begun = time.process_time()
    for ids in batches:
        _step(table, ids, gradient)
    mx.nd.waitall()
    return 1000 * (time.process_time() - begun) / len(batches)


def _step(table: list[tuple[Tensor, Tensor]], ids: Tensor, gradient: Tensor) -> None:
    parts: dict[str, Any] = {"parts": len(table)} if len(table) > 1 else {}
    with mx.autograd.record():
        vectors = mx.nd.pnn_embedding(ids, *(weight for weight, _ in table), **parts)
    vectors.backward(gradient)
    for weight, sums in table:
        mx.nd.pnn_adagrad(weight, weight.grad, sums, out=weight, lr=0.01)


if __name__ == "__main__":
    typer.run(main)
