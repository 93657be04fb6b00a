"""Search for the options of a model that validate best; one JSON line with the best trial."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from jobs.command import report


def command(
    config: Annotated[Path, typer.Argument(help="A TOML file of paper mode with a table [tune].")],
    model: Annotated[str, typer.Option(help="The model.")],
    trials: Annotated[int, typer.Option(help="Trials in all; those of an earlier search count.", min=1)] = 50,
    journal: Annotated[Path, typer.Option(help="File that keeps every trial.")] = Path("work/tune/trials.journal"),
    seed: Annotated[int, typer.Option(help="Of training and of the proposals.", min=0)] = 1,
    data: Annotated[Path | None, typer.Option(help="Folder of the data files.")] = None,
) -> None:
    """Try options from the declared space, keep every trial, go on where an earlier search stopped."""
    from pnn_gluon.experiments.dataset import load_dataset
    from pnn_gluon.experiments.search import search

    found = search(config, model, lambda settings: load_dataset(settings, data), journal, trials, seed, report)
    print(json.dumps({"model": model, **dataclasses.asdict(found)}))
