"""Does the precision of dense layers cost quality? The same models and seeds trained in each.

    python -m benchmarks.precision_quality --output docs/precision.md

On Frappe a run is `pnn-gluon fit conf/experiments/frappe.toml`; on generated logs it is the pipeline of
`benchmarks.generated_days`, and figures are those of the next days' logs, means over days. Precisions are chosen by the
environment variable, `plain` stands for MXNet's own operators. What a run gave is a line of the record, JSON lines
beside the document; a run that is in the record is not repeated. Ends with one JSON line.
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

import typer
from rich.console import Console

from pnn_gluon.runtime import available_processors

VARIANTS = {
    "plain": {"PNN_GLUON_OPERATORS": "plain"},
    "f32": {"PNN_GLUON_PRECISION": "f32"},
    "x3": {"PNN_GLUON_PRECISION": "x3"},
    "bf16": {"PNN_GLUON_PRECISION": "bf16"},
}
REFERENCE = "f32"
GENERATED_DAYS = "--rows 200000 --days 3 --window-days 2"
PAGE = """# Quality by precision

Written by `python -m benchmarks.precision_quality --output docs/precision.md`. f32, x3 and bf16 are precisions of the
native dense layers ([operators](operators.md)); plain is MXNet without native operators. Means ± standard deviations
over the seeds; differences are to {reference}, seed by seed, ± their standard error. On Frappe figures are of the test
rows; on generated logs they are of the next days (`benchmarks.generated_days {generated}`).

{table}
"""


@dataclass(frozen=True)
class Run:
    """One training."""

    data: str
    model: str
    variant: str
    seed: int

    @property
    def command(self) -> list[str]:
        """The arguments of Python."""
        if self.data == "frappe":
            return [
                "-m",
                "jobs",
                "fit",
                "conf/experiments/frappe.toml",
                "--model",
                self.model,
                "--seed",
                str(self.seed),
            ]
        work = f"work/benchmark/precision/{self.variant}_{self.seed}"
        where = ["--models", self.model, "--seeds", str(self.seed), "--work", work]
        return ["-m", "benchmarks.generated_days", *where, *GENERATED_DAYS.split()]

    def figures(self, output: dict[str, Any]) -> dict[str, float]:
        """AUC and log loss, from the JSON that the command ends with."""
        found = output if self.data == "frappe" else output["mean"][f"{self.model} log"]
        return {"auc": found["auc"], "log_loss": found["log_loss"]}


def main(
    models: Annotated[str, typer.Option(help="Names, separated by commas.")] = "ipnn",
    data: Annotated[str, typer.Option(help="frappe, generated or both, separated by a comma.")] = "frappe,generated",
    variants: Annotated[str, typer.Option(help=f"Of {', '.join(VARIANTS)}.")] = ",".join(VARIANTS),
    seeds: Annotated[str, typer.Option(help="first..last")] = "1..5",
    jobs: Annotated[int, typer.Option(help="Runs at a time.", min=1)] = 2,
    record: Annotated[Path, typer.Option(help="What is kept of the runs.")] = Path("docs/precision.jsonl"),
    output: Annotated[Path | None, typer.Option(help="Markdown file to write.")] = None,
) -> None:
    """Run what is missing, then print and write the table of all runs of the record."""
    first, last = (int(seed) for seed in seeds.split(".."))
    names = models.split(","), variants.split(",")
    wanted = [Run(*w) for w in itertools.product(data.split(","), *names, range(first, last + 1))]
    lines = record.read_text().splitlines() if record.exists() else []
    kept = [json.loads(line) for line in lines]
    missing = [run for run in wanted if not any(run.__dict__.items() <= line.items() for line in kept)]
    lock = Lock()

    def make(run: Run) -> None:
        line = run.__dict__ | _figures(run, max(1, available_processors() // jobs))
        with lock, record.open("a") as file:
            kept.append(line)
            file.write(json.dumps(line, sort_keys=True) + "\n")

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(make, missing))
    table = "\n".join(_table(kept))
    Console().print(table, markup=False, soft_wrap=True)
    if output is not None:
        output.write_text(PAGE.format(reference=REFERENCE, generated=GENERATED_DAYS, table=table))
    print(json.dumps(kept))


def _figures(run: Run, threads: int) -> dict[str, float]:
    environment = os.environ | VARIANTS[run.variant] | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([sys.executable, *run.command], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(run.command)} ended with status {done.returncode}:\n{done.stderr}")
    figures = run.figures(json.loads(done.stdout.splitlines()[-1]))
    print(f"{run}: {figures}", file=sys.stderr, flush=True)
    return figures


def _table(runs: Iterable[dict[str, Any]]) -> Iterator[str]:
    groups: dict[tuple[str, str, str], dict[int, dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["data"], run["model"], run["variant"]), {})[run["seed"]] = run
    yield "| data | model | precision | seeds | AUC | difference | log loss | difference |"
    yield f"|{' --- |' * 8}"
    for data, model, variant in sorted(groups, key=lambda key: (key[:2], list(VARIANTS).index(key[2]))):
        found, reference = groups[data, model, variant], groups.get((data, model, REFERENCE), {})
        cells = [data, model, variant, str(len(found))]
        for metric in ("auc", "log_loss"):
            cells.append(_spread([run[metric] for run in found.values()]))
            both = sorted(found.keys() & reference.keys()) if variant != REFERENCE else []
            cells.append(_difference([found[seed][metric] - reference[seed][metric] for seed in both]))
        yield f"| {' | '.join(cells)} |"


def _spread(values: list[float]) -> str:
    return f"{statistics.fmean(values):.5f}" + (f" ± {statistics.stdev(values):.5f}" if len(values) > 1 else "")


def _difference(values: list[float]) -> str:
    if len(values) < 2:
        return ""
    return f"{statistics.fmean(values):+.5f} ± {statistics.stdev(values) / len(values) ** 0.5:.5f}"


if __name__ == "__main__":
    typer.run(main)
