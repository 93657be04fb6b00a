"""The whole day without Airflow."""

import ctypes
import sys
from functools import partial
from typing import Annotated

import typer

from jobs.command import ConfigOption, DaysOption, ForceOption, guarded, print_outcome
from jobs.running import run_step
from jobs.watched import Note, watched
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import parse_days
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.inputs import Requests
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.steps import daily_steps


def command(
    config: ConfigOption,
    day: DaysOption,
    force: ForceOption = False,
    steps: Annotated[str | None, typer.Option(help="Only these, separated by commas, in the order of the day.")] = None,
) -> None:
    """The whole day, or some steps of it, for one or several days, without Airflow; one JSON line a step."""
    options = load_config(config)
    chosen, days = _chosen(options, steps), parse_days(day)

    def work(note: Note) -> int:
        for each in days:
            for step in chosen:
                note(f"{step.name} {each}")
                status = print_outcome(guarded(partial(run_step, step, options, each, force)))
                if status not in {0, 4}:
                    return status
                _give_back_memory()
        return 0

    raise typer.Exit(watched(work))


def _chosen(config: Config, names: str | None) -> tuple[Step, ...]:
    """The steps of a day of these names; without names all."""
    daily = daily_steps(config)
    known = [step.name for step in daily]
    wanted = known if names is None else [name.strip() for name in names.split(",")]
    if unknown := sorted(set(wanted) - set(known)):
        raise ConfigError(f"--steps: no step of a day {', '.join(unknown)}; they are {', '.join(known)}")
    chosen = tuple(step for step in daily if step.name in wanted)
    if config.source.requests is None and any(isinstance(each, Requests) for step in chosen for each in step.inputs):
        raise ConfigError(f"{config.path}: source.requests: needed to run a whole day; say where requests lie")
    return chosen


def _give_back_memory() -> None:
    """Give the system what a step has freed, so that steps of one process need no more than the largest of them."""
    if arrow := sys.modules.get("pyarrow"):
        arrow.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)
