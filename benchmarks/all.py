"""Every benchmark of speed, one after the other, and the documents of their results: about an hour on two processors.

    python -m benchmarks.all [--quick] [--only growth,etl] [--folder docs/benchmarks]

The folder has a record for each kind of processor, `KIND.json`, and a document made of it, `KIND.md`: of every command
what it last said, and the figures of its runs before. `benchmarks.md` beside the folder says what there is. They are
written anew after each command. A command that fails is said so, with its last lines; the others go on. Benchmarks of
quality (generated_days, movielens_days, model_table, coverage, onnx_parity) are not among them.
"""

import datetime
import importlib.metadata
import json
import logging
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
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
        date: When it ran.
        earlier: Date and figures of its runs before on such a processor, the oldest first.
    """

    part: str
    command: str
    minutes: float
    text: str
    figures: Any
    date: str = ""
    earlier: tuple[tuple[str, Any], ...] = ()


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: to see that all of it works.")] = False,
    only: Annotated[str, typer.Option(help="Parts, separated by commas; default: all.")] = "",
    folder: Annotated[
        Path | None, typer.Option(help="Of the documents; default: docs/benchmarks, or of work/.")
    ] = None,
) -> None:
    """Run and write."""
    every = parts(quick)
    wanted = [name for name in only.split(",") if name] or list(every)
    if unknown := [name for name in wanted if name not in every]:
        raise SystemExit(f"unknown parts {', '.join(unknown)}: expected some of {', '.join(every)}")
    record = (folder or Path("work/benchmark/quick" if quick else "docs/benchmarks")) / f"{processor_kind()}.json"
    failed = []
    for name in wanted:
        for command in every[name]:
            log.info(f"{name}: python -m {command}")
            result = run(name, command)
            failed += [result.command] if result.figures is None else []
            write(record, result)
    print(json.dumps({"failed": failed}))


def processor_kind(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name, family and model of the processor, as the name of a file."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    numbers = [f"{word} {told[key]}" for word, key in (("family", "cpu family"), ("model", "model")) if key in told]
    return re.sub("[^a-z0-9]+", "-", " ".join([processor_name(cpuinfo), *numbers]).lower()).strip("-")


def _measured(result: Result) -> str:
    """What a command measures, whoever is measured beside it."""
    return re.sub(r" --variants \S+", "", result.command)


def read(record: Path) -> list[Result]:
    """The results of a record; none if it is not there."""
    found = json.loads(record.read_text())["results"] if record.is_file() else []
    return [Result(**each | {"earlier": tuple(map(tuple, each["earlier"]))}) for each in found]


def write(record: Path, result: Result) -> None:
    """Put a result in the place of the last of its command, and make the documents anew."""
    results = {_measured(each): each for each in read(record)}
    if last := results.get(_measured(result)):
        ran = () if last.figures is None else ((last.date, last.figures),)
        result = replace(result, earlier=last.earlier + ran)
    results[_measured(result)] = result
    order = list(parts(quick=False))
    kept = sorted(results.values(), key=lambda each: order.index(each.part))
    record.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": _machine(), "versions": _versions(), "results": [asdict(each) for each in kept]}
    record.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    record.with_suffix(".md").write_text(document(kept))
    (record.parent.parent / "benchmarks.md").write_text(index(record.parent))


def parts(quick: bool) -> dict[str, list[str]]:
    """The commands of each part, without `python -m`."""
    step = QUICK_STEP if quick else "--rounds 3 --steps 2"
    etl = "--rows 100000 --rounds 1" if quick else "--rows 2000000 --rounds 3"
    return {
        "training_step": [f"benchmarks.training_step {_sizes(model, quick)} {step}" for model in MODELS],
        "growth": ["benchmarks.growth" + (" --models fm --rounds 1 --steps 1" if quick else "")],
        "operators": ["benchmarks.operators" + (" --models fm --rounds 1 --steps 1" if quick else "")],
        "deeprec": ["benchmarks.deeprec" + (" --rounds 1 --steps 1" if quick else "")],
        "scoring": ["benchmarks.scoring"],
        "serving": ["benchmarks.serving" + (" --seconds 2" if quick else "")],
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
    today = str(datetime.datetime.now(tz=datetime.UTC).date())
    return Result(part, f"python -m {command}", minutes, text.replace(str(Path.cwd()), "."), figures, today)


def _end(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-LAST_LINES:])


def document(results: list[Result]) -> str:
    """The results as Markdown, with the machine and the versions of the last run."""
    return _template("processor.md.j2").render(
        machine=_machine(),
        versions=_versions(),
        steps=_steps(results),
        variants=list(VARIANTS),
        parts={part: [each for each in results if each.part == part] for part in {each.part: 0 for each in results}},
        history=history,
    )


def history(result: Result) -> list[tuple[str, dict[str, float]]]:
    """Date and numbers of every run of a command that had numbers under their own names, the last one first."""
    runs = [*result.earlier, (result.date, result.figures)]
    numbers = [
        (date, {name: value for name, value in figures.items() if isinstance(value, int | float)})
        for date, figures in runs
        if isinstance(figures, dict)
    ]
    return [(date, found) for date, found in reversed(numbers) if found]


def index(folder: Path) -> str:
    """What there is in the folder, as Markdown."""
    records = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    return _template("benchmarks.md.j2").render(folder=folder.name, records=records)


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return environment.from_string((HERE / name).read_text())


def _machine() -> dict[str, str]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "processor": processor_name(),
        "kind": processor_kind(),
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


def _steps(results: list[Result]) -> dict[str, tuple[str, dict[str, float]]]:
    """Date and milliseconds of a training step by model; those by variant."""
    return {
        result.command.partition("--model ")[2].split()[0]: (result.date, result.figures)
        for result in results
        if result.part == "training_step" and result.figures is not None
    }


if __name__ == "__main__":
    show_on_stderr([log.name])
    typer.run(main)
