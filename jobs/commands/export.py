"""Chosen days scored by a chosen model."""

from functools import partial
from typing import Annotated

import typer

from jobs.command import ConfigOption, ForceOption, guarded, print_outcome
from jobs.running import Work, run_step
from jobs.steps.export import scoring
from pnn_gluon.config import load_config
from pnn_gluon.days import parse_day, parse_days
from pnn_gluon.pipeline.steps import export_step


def command(
    config: ConfigOption,
    days: Annotated[str, typer.Option(help="The days to score, first..last.")],
    model_day: Annotated[str, typer.Option(help="The day of the model to score with.")],
    name: Annotated[str, typer.Option(help="Name of the export: its table is exports_<name>.")],
    rows: Annotated[str, typer.Option(help="What to score: logs or requests.")] = "requests",
    force: ForceOption = False,
) -> None:
    """Score a range of days with the model of a chosen day; one JSON line a day."""
    model = parse_day(model_day)
    step, work = export_step(name, model, rows), Work(scoring(model, rows))
    options, chosen = load_config(config), parse_days(days)
    for day in chosen:
        status = print_outcome(guarded(partial(run_step, step, options, day, force, work=work)))
        if status not in {0, 4}:
            raise typer.Exit(status)
