"""Search for the options of a model that validate best; one JSON line with the best trial."""

import json
import logging
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

log = logging.getLogger(__name__)


def command(
    config: Annotated[Path, typer.Argument(help="A TOML file of paper mode with a table [tune].")],
    model: Annotated[str | None, typer.Option(help="The model; default: the file's model.name.")] = None,
    trials: Annotated[int, typer.Option(help="Trials in all; those of an earlier search count.", min=1)] = 50,
    seed: Annotated[int, typer.Option(help="Of training and of the proposals.", min=0, max=2**31 - 1)] = 1,
    data: Annotated[Path | None, typer.Option(help="Folder of the data files.")] = None,
    journal: Annotated[
        Path | None, typer.Option(help="File that keeps every trial; default: work/tune/NAME-MODEL.jsonl.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Only show the trials so far, as a table.")] = False,
) -> None:
    """Try options from the declared space, keep every trial, go on where an earlier search stopped."""
    from pnn_gluon.experiments.config import load_fit_config
    from pnn_gluon.experiments.trial_report import render_trials, summarize_trials
    from pnn_gluon.experiments.trials import Journal

    settings = load_fit_config(config, model)
    name = model or settings.model.name
    path = journal or Path("work/tune") / f"{settings.name}-{name}.jsonl"
    if listed:
        from jobs.terminal import console

        console().print(render_trials(Journal.read(path)))
        return
    from pnn_gluon.experiments.dataset import load_dataset
    from pnn_gluon.experiments.search import Search, search

    what = Search(settings, name, load_dataset(settings, data), seed)
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, _stop)
    print(json.dumps(summarize_trials(search(what, path, trials))))


def _stop(number: int, frame: Any) -> None:
    """End as by Ctrl-C when asked to by a signal, so that the trial is noted as interrupted."""
    log.info("tune: stopped by %s; the same command goes on", signal.Signals(number).name)
    sys.exit(128 + number)
