"""One step of one day: what a task of Airflow runs, and the way to run a step by hand."""

from typing import Annotated

import typer

from jobs.command import ConfigOption, DayOption, ForceOption, guarded, print_outcome
from jobs.overtaking import overtake
from jobs.running import run_step
from pnn_gluon.config import load_config
from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.steps import step


def command(
    name: Annotated[str, typer.Argument(help="The step.")],
    config: ConfigOption,
    day: DayOption,
    force: ForceOption = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for another process that is at work on the same day.")
    ] = False,
    overtake_after: Annotated[
        float | None,
        typer.Option("--overtake", min=0, help="Wait so many minutes for another process, then end it."),
    ] = None,
) -> None:
    """One step of one day: progress on stderr, one JSON object on stdout."""
    chosen = step(name)
    if chosen.by_hand:
        raise ConfigError(f"step {name} runs by its own command; see pnn-gluon --help")
    options, when = load_config(config), parse_day(day)
    if overtake_after is not None:
        store, wait = open_store(options), True
        overtake([store.lock_file(f"{chosen.table.name}-{when}")], overtake_after)
    raise typer.Exit(print_outcome(guarded(lambda: run_step(chosen, options, when, force, wait))))
