"""The whole day without Airflow."""

from functools import partial

import typer

from jobs.command import ConfigOption, DaysOption, ForceOption, guarded, print_outcome
from jobs.running import run_step
from jobs.watched import Note, watched
from pnn_gluon.config import load_config
from pnn_gluon.days import parse_days
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.steps import daily_steps


def command(config: ConfigOption, day: DaysOption, force: ForceOption = False) -> None:
    """The whole day, for one or several days, without Airflow; one JSON line a step."""
    options = load_config(config)
    if options.source.requests is None:
        raise ConfigError(f"{options.path}: source.requests: needed to run a whole day; say where requests lie")
    days = parse_days(day)

    def work(note: Note) -> int:
        for each in days:
            for step in daily_steps(options):
                note(f"{step.name} {each}")
                status = print_outcome(guarded(partial(run_step, step, options, each, force)))
                if status not in {0, 4}:
                    return status
        return 0

    raise typer.Exit(watched(work))
