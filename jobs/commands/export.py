"""Chosen days scored by a chosen model."""

import datetime
import json
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from jobs.command import ConfigOption, ForceOption, guarded, print_outcome
from jobs.running import Outcome, run_step
from jobs.steps.export import work_of_export
from pnn_gluon.config import load_config
from pnn_gluon.pipeline.details import KEPT
from pnn_gluon.pipeline.exports import CHAMPION, FORMATS, KINDS, PRECISIONS, Export, export_days, export_step

KEPT_STATUS = 4


def command(
    config: ConfigOption,
    days: Annotated[str, typer.Option(help="The days to score, first..last.")],
    name: Annotated[str, typer.Option(help="Name of the export: its table is exports_<name>.")],
    model: Annotated[
        str, typer.Option("--model", "--model-day", help="champion, the model in force on each day, or a model's day.")
    ] = CHAMPION,
    rows: Annotated[str, typer.Option(help=f"What to score: {' or '.join(KINDS)}.")] = KINDS[0],
    slice_text: Annotated[str, typer.Option("--slice", help="Only rows with field = value.")] = "",
    format: Annotated[str, typer.Option(help=f"{', '.join(FORMATS)}: a table is on the score server.")] = FORMATS[0],
    precision: Annotated[
        str, typer.Option(help=f"Of logit and probability: {', '.join(PRECISIONS)} (significant digits).")
    ] = PRECISIONS[0],
    force: ForceOption = False,
) -> None:
    """Score a range of days with a chosen model; one JSON line a day, then one for all of them."""
    options = load_config(config)
    chosen = export_days(options, days)
    export = Export.asked(options, name, model, rows, format, precision, slice_text)
    step, work, made = export_step(export), work_of_export(export), []
    for day in chosen:
        outcome = guarded(partial(run_step, step, options, day, force, work=work))
        status = print_outcome(outcome)
        if isinstance(outcome, int) or status not in {0, KEPT_STATUS}:
            raise typer.Exit(status)
        made.append(outcome)
    raise typer.Exit(_summed_up(export, chosen, made))


def _summed_up(export: Export, days: Sequence[datetime.date], made: Sequence[Outcome]) -> int:
    """Print what became of all days; the exit status, which is that of a kept day if all were."""
    kept = {outcome.day: outcome.details[KEPT] for outcome in made if KEPT in outcome.details}
    models = {outcome.day: outcome.details["model_day"] for outcome in made if KEPT not in outcome.details}
    details: dict[str, object] = {
        "models": models,
        "rows": {outcome.day: outcome.rows for outcome in made},
        "tables": sorted({f"exports_{export.name}", *(outcome.details.get("table") or "" for outcome in made)} - {""}),
    }
    if kept:
        details["kept_days"] = kept
    if not models:
        details[KEPT] = [f"{day}: {why}" for day, why in kept.items()]
    told = {
        "step": "export",
        "day": f"{days[0]}..{days[-1]}",
        "status": "done" if models else "kept",
        "rows": sum(outcome.rows for outcome in made),
        "details": details,
    }
    print(json.dumps(told, sort_keys=True), flush=True)
    return 0 if models else KEPT_STATUS
