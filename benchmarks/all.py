"""Every benchmark of speed, one after the other, and the document of their results: about an hour on two processors.

    python -m benchmarks.all [--quick] [--only growth,etl] [--output docs/benchmarks.md]

A command that fails is said so in the document, with its last lines; the others go on. The document is written anew
after each command. Benchmarks of quality (generated_days, movielens_days, model_table, coverage, onnx_parity)
are not among them.
"""

import datetime
import importlib.metadata
import json
import logging
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jinja2
import typer

from benchmarks.arithmetic import MODELS
from benchmarks.training_step import VARIANTS, has_model
from jobs.logs import show_on_stderr
from pnn_gluon.processor import processor_features, processor_name
from pnn_gluon.runtime import available_processors

log = logging.getLogger("benchmarks.all")

HERE = Path(__file__).parent
PACKAGES = ("mxnet", "numpy", "duckdb", "h5py", "pyarrow")
LOCKED = {"peers.lock": ("torch",), "fuxictr.lock": ("fuxictr",), "deepctr_torch.lock": ("deepctr-torch",)}
"""Peers whose versions the document names, by the locked file that has them."""
LIMIT_SECONDS = 1800
"""After so long a command counts as failed."""
LAST_LINES = 15
"""Lines of a failed command that the document shows."""
OWN_SIZES = {"ffm": "--embedding-size 4 --ids 100000"}
"""Models with other sizes than the rest: an id of FFM has a vector for each other field."""
QUICK_STEP = "--rows 200 --ids 20000 --hidden 32,32 --rounds 1 --steps 1"


@dataclass(frozen=True)
class Result:
    """What a command gave.

    Attributes:
        part: The benchmark.
        command: As one would type it.
        minutes: What it took.
        text: Its tables, or the end of what it said when it failed.
        figures: Its JSON line; None when it failed.
    """

    part: str
    command: str
    minutes: float
    text: str
    figures: Any


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: to see that all of it works.")] = False,
    only: Annotated[str, typer.Option(help="Parts, separated by commas; default: all.")] = "",
    output: Annotated[Path, typer.Option(help="The document.")] = Path("docs/benchmarks.md"),
) -> None:
    """Run and write."""
    every = parts(quick)
    wanted = [name for name in only.split(",") if name] or list(every)
    if unknown := [name for name in wanted if name not in every]:
        raise SystemExit(f"unknown parts {', '.join(unknown)}: expected some of {', '.join(every)}")
    results: list[Result] = []
    for name in wanted:
        for command in every[name]:
            log.info(f"{name}: python -m {command}")
            results.append(run(name, command))
            output.write_text(document(results))
    print(json.dumps({"failed": [result.command for result in results if result.figures is None]}))


def parts(quick: bool) -> dict[str, list[str]]:
    """The commands of each part, without `python -m`."""
    step = QUICK_STEP if quick else "--rounds 3 --steps 2"
    etl = "--rows 100000 --rounds 1" if quick else "--rows 2000000 --rounds 3"
    return {
        "training_step": [f"benchmarks.training_step {_sizes(model, quick)} {step}" for model in MODELS],
        "growth": ["benchmarks.growth" + (" --models fm --rounds 1 --steps 1" if quick else "")],
        "scoring": ["benchmarks.scoring"],
        "etl": [f"benchmarks.etl {etl}", "jobs bench --config work/benchmark/etl/etl.toml"],
        "metrics": ["benchmarks.metrics" + (" --rows 200000 --peer-mb 1000 --rounds 1" if quick else "")],
        "whole_job": ["benchmarks.whole_job" + (" --rows 100000 --batches 5" if quick else "")],
    }


def _sizes(model: str, quick: bool) -> str:
    variants = ",".join(name for name in VARIANTS if has_model(name, model))
    own = "" if quick else OWN_SIZES.get(model, "")
    return f"--model {model} --variants {variants} {own}".rstrip()


def run(part: str, command: str) -> Result:
    """Run a command to its end, or to the limit of time; a failure is a result too."""
    started = time.monotonic()
    words = [sys.executable, "-W", "ignore", "-m", *shlex.split(command)]
    figures, text = None, ""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_SECONDS)
        lines = done.stdout.rstrip().splitlines()
        if done.returncode:
            text = f"status {done.returncode}\n" + _end(done.stdout + done.stderr)
        else:
            figures, text = json.loads(lines[-1]), "\n".join(line.rstrip() for line in lines[:-1])
    except subprocess.TimeoutExpired:
        text = f"not done after {LIMIT_SECONDS} seconds"
    except (IndexError, json.JSONDecodeError):
        text = "its last line is not JSON\n" + _end(done.stdout + done.stderr)
    minutes = (time.monotonic() - started) / 60
    return Result(part, f"python -m {command}", minutes, text.replace(str(Path.cwd()), "."), figures)


def _end(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-LAST_LINES:])


def document(results: Iterable[Result]) -> str:
    """The results as Markdown, with the machine and the versions they were measured with."""
    results = list(results)
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    template = environment.from_string((HERE / "benchmarks.md.j2").read_text())
    return template.render(
        date=datetime.datetime.now(tz=datetime.UTC).date(),
        machine=_machine(),
        versions=_versions(),
        steps=_steps(results),
        variants=list(VARIANTS),
        parts={part: [each for each in results if each.part == part] for part in {each.part: 0 for each in results}},
    )


def _machine() -> dict[str, str]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "processor": processor_name(),
        "processors that may be used": str(available_processors()),
        "instruction sets": processor_features() or "none that matter",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).is_file() else []


def _versions() -> dict[str, str]:
    """Versions of Python, of the packages that matter for speed, and of the peers."""
    versions = {"python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in PACKAGES}
    for file, names in LOCKED.items():
        locked = dict(line.split("==") for line in _lines(str(HERE / file)))
        versions |= {name: locked[name] for name in names}
    return versions


def _steps(results: list[Result]) -> dict[str, dict[str, float]]:
    """Milliseconds of a training step by model and variant."""
    return {
        result.command.partition("--model ")[2].split()[0]: result.figures
        for result in results
        if result.part == "training_step" and result.figures is not None
    }


if __name__ == "__main__":
    show_on_stderr([log.name])
    typer.run(main)
