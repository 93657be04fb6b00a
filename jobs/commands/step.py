"""One step of one day: what a task of Airflow runs, and the way to run a step by hand."""

from typing import Annotated

import typer

from jobs.command import ConfigOption, DayOption, ForceOption, end_with, report
from pnn_gluon.config import load_config
from pnn_gluon.days import parse_day


def command(
    name: Annotated[str, typer.Argument(help="The step.")],
    config: ConfigOption,
    day: DayOption,
    force: ForceOption = False,
) -> None:
    """One step of one day: progress on stderr, one JSON object on stdout."""
    from jobs.pipeline import step

    this = step(name)
    end_with(lambda: this.run(load_config(config), parse_day(day), force, report))
