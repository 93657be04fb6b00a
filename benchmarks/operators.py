"""Milliseconds of a training step by operator, and what is between the step and the limit of the machine.

    python -m benchmarks.operators --models ipnn,pin --precisions f32,bf16

Each precision of a model is a process of its own that waits while another one computes; rounds go through them in
turn, the first warms up. Times are those of MXNet's profiler, medians over rounds; operators below 1 % of a step are
summed up as `others`, and what no operator took (Python, MXNet's engine, waiting) as `rest`. `limit` is the arithmetic
that the network needs (`arithmetic.py`) at the rate of the fastest matrix product of the same run (`torch_peak.py`; for
x3 a third of bfloat16's). Ends with one JSON line: model, precision and operator to milliseconds.
"""

import json
import statistics
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks.arithmetic import MODELS, Network, step_gflop
from benchmarks.training_step import VARIANTS, draw_batches
from benchmarks.workers import in_turns, peer_command, running
from jobs.terminal import console
from pnn_gluon.ops import PRECISIONS
from pnn_gluon.processor import processor_name
from pnn_gluon.runtime import available_processors

ROWS, IDS, FIELDS, VECTOR, HIDDEN = 2000, 1_000_000, 39, 20, (700,) * 5
SMALL = 0.01
"""Share of a step below which an operator is one of the others."""
OF_MXNET = ("WaitForVar", "DeleteVariable")
"""What the profiler lists as operators and is waiting."""


def main(
    models: Annotated[str, typer.Option(help=", ".join(MODELS))] = "ipnn,deepfm,dcn,kpnn,pin,autoint,xdeepfm",
    precisions: Annotated[str, typer.Option(help=", ".join(PRECISIONS))] = ",".join(PRECISIONS),
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    steps: Annotated[int, typer.Option(help="Steps of a process in a round.", min=1)] = 3,
    threads: Annotated[int, typer.Option(help="Default: all processors.")] = 0,
    work: Annotated[Path, typer.Option(help="Folder for batches and the peer.")] = Path("work/benchmark"),
) -> None:
    """Measure and print."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for model in models.split(","):
        settings = {
            "model": model,
            "ids": IDS,
            "fields": FIELDS,
            "embedding_size": VECTOR,
            "hidden": list(HIDDEN),
            "threads": threads or available_processors(),
            "data": str(draw_batches(work, ROWS, IDS, FIELDS)),
        }
        figures[model] = measure(settings, precisions.split(","), rounds, steps, work)
        _show(settings, figures[model])
    print(json.dumps(figures))


def measure(
    settings: dict[str, Any], precisions: list[str], rounds: int, steps: int, work: Path
) -> dict[str, dict[str, float]]:
    """Milliseconds by precision and operator, with `step`, `rest` and `limit`."""
    with ExitStack() as stack:
        measures = {
            name: partial(stack.enter_context(running(_command(settings | VARIANTS[name]))).ask, steps)
            for name in precisions
        }
        limit = stack.enter_context(running(peer_command("torch_peak.py", "peers", settings, work)))
        answers = in_turns({**measures, "limit": partial(limit.ask, 3)}, rounds)
    rates = answers.pop("limit")
    peak = {name: max(rate[name] for rate in rates) for name in ("f32", "bf16")}
    peak["x3"] = peak["bf16"] / 3
    gflop = step_gflop(settings["model"], Network(FIELDS, VECTOR, HIDDEN), ROWS)
    return {name: summary(answers[name], 1e3 * gflop / peak[name]) for name in precisions}


def _command(settings: dict[str, Any]) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "benchmarks.our_operators", json.dumps(settings)]


def summary(rounds: list[dict[str, float]], limit: float) -> dict[str, float]:
    """Medians over rounds of `step` and its large operators, `others`, `rest` and the limit given."""
    names = {name for each in rounds for name in each if name not in OF_MXNET}
    medians = {name: statistics.median(each.get(name, 0.0) for each in rounds) for name in names}
    step = medians.pop("step")
    large = {name: value for name, value in medians.items() if value >= SMALL * step}
    others = sum(medians.values()) - sum(large.values())
    ordered = dict(sorted(large.items(), key=lambda item: -item[1]))
    rest = max(0.0, step - sum(medians.values()))
    found = {"step": step, **ordered, "others": others, "rest": rest, "limit": limit}
    return {name: round(value, 2) for name, value in found.items()}


def _show(settings: dict[str, Any], figures: dict[str, dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for each in figures.values() for name in each))
    table = Table("milliseconds", *figures)
    for name in sorted(names, key=lambda name: (name in {"others", "rest", "limit"}, name != "step")):
        table.add_row(name, *(f"{each[name]:.1f}" if name in each else "" for each in figures.values()))
    over = (f"{each['step'] - each['limit']:.1f}" for each in figures.values())
    table.add_row("step - limit", *over)
    console().print(f"{settings['model']}: {ROWS} rows, {settings['threads']} threads of {processor_name()}")
    console().print(table)


if __name__ == "__main__":
    typer.run(main)
