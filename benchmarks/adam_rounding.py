"""How far kpnn trained on two devices is from kpnn on one, by Adam's epsilon: rounding that Adam makes large.

    python -m benchmarks.adam_rounding [--steps 100]

Prints, after some steps, the largest difference of any parameter, and the gradients of the number that differs most.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from jobs.terminal import console
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.registry import create_model
from pnn_gluon.runtime import mx
from pnn_gluon.training.devices import contexts, initialize
from pnn_gluon.training.loss import make_loss
from pnn_gluon.training.optimizer import make_trainer
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import named_parameters

FIELDS, IDS, BATCH = 10, 20_000, 1000
SHOWN = (1, 2, 10, 100)

Arrays = dict[str, np.ndarray[Any, Any]]


def main(steps: Annotated[int, typer.Option(min=1, help="Steps.")] = 100) -> None:
    """Train with some epsilons, and print a table."""
    table = Table(title=f"kpnn, adam, {BATCH} rows a batch: two devices beside one")
    for column in ("epsilon", "step", "largest difference", "of", "mean gradient on one", "on two"):
        table.add_column(column)
    for epsilon in (1e-8, 1e-6, 1e-4):
        for step, (one, two) in enumerate(zip(run(1, epsilon, steps), run(2, epsilon, steps), strict=True), 1):
            if step in SHOWN:
                name, place, difference = largest(one[0], two[0])
                gradients = (f"{gradient[name][place]:.2e}" for _, gradient in (one, two))
                where = f"{name} {tuple(map(int, place))}"
                table.add_row(f"{epsilon:g}", str(step), f"{difference:.1e}", where, *gradients)
    console().print(table)


def batches(steps: int) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Ids, as often as Zipf's law says, and labels."""
    each = (IDS - 100) // FIELDS
    for step in range(steps):
        ids = np.random.default_rng(step).zipf(1.3, (BATCH, FIELDS)) % each + 100 + np.arange(FIELDS) * each
        yield ids.astype(np.int32), (ids[:, 0] % 7 == 0).astype(np.float32)


def run(devices: int, epsilon: float, steps: int) -> Iterator[tuple[Arrays, Arrays]]:
    """After each step the parameters, and the mean gradients that led there."""
    layout = FieldLayout.single_valued([f"field_{i}" for i in range(FIELDS)])
    net = create_model("kpnn", layout, IDS, embedding_size=8, hidden=(32,))
    options = TrainingOptions(learning_rate=0.01, embedding_l2=1e-5, devices=devices, epsilon=epsilon)
    places = contexts("cpu", devices)
    initialize(net, places, 1)
    net.hybridize(static_alloc=True)
    trainer, loss = make_trainer(net, options), make_loss("log")
    for ids, label in batches(steps):
        parts = zip(np.array_split(ids, devices), np.array_split(label, devices), places, strict=True)
        with mx.autograd.record():
            losses = [
                loss(net(mx.nd.array(x, dtype="int32", ctx=place)), mx.nd.array(y, ctx=place)) for x, y, place in parts
            ]
        mx.autograd.backward(losses)
        parameters = named_parameters(net).items()
        gradients = {name: sum(each.tostype("default").asnumpy() for each in p.list_grad()) for name, p in parameters}
        trainer.step(BATCH)
        values = {name: parameter.list_data()[0].asnumpy() for name, parameter in parameters}
        yield values, {name: gradient / BATCH for name, gradient in gradients.items()}


def largest(one: Arrays, two: Arrays) -> tuple[str, Any, float]:
    """The number that differs most: its parameter, its place, by how much."""
    name = max(one, key=lambda name: float(np.abs(one[name] - two[name]).max()))
    apart = np.abs(one[name] - two[name])
    place = np.unravel_index(apart.argmax(), apart.shape)
    return name, place, float(apart[place])


if __name__ == "__main__":
    typer.run(main)
