"""Days told to MLflow and to a catalogue of lineage, from what the store holds."""

import dataclasses
import datetime
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from jobs.command import ConfigOption, DaysOption
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import parse_days
from pnn_gluon.errors import ConfigError

log = logging.getLogger(__name__)


def command(
    config: ConfigOption,
    day: DaysOption,
    mlflow: Annotated[
        str | None, typer.Option(help="The URL of an MLflow, or a local file; default: tracking.mlflow.")
    ] = None,
    openlineage: Annotated[
        str | None, typer.Option(help="The URL of a catalogue of lineage, or a file; default: tracking.openlineage.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Send what was sent before, too.")] = False,
) -> None:
    """Tell MLflow and OpenLineage of days; one that is away is a warning, and told the next time."""
    options, days = load_config(config), parse_days(day)
    given = {"mlflow": mlflow, "openlineage": openlineage}
    print(json.dumps(tell(options, days, {kind: address for kind, address in given.items() if address}, again)))


def tell(
    config: Config, days: Sequence[datetime.date], given: Mapping[str, str], again: bool = False
) -> dict[str, object]:
    """Tell those who are given, or else those of the configuration; the one JSON object of the command.

    Raises:
        ConfigError: there is nobody to tell, or a variable that the configuration names is not set.
    """
    from pnn_gluon.secrets_masking import SECRET_VARIABLES
    from pnn_gluon.tracking.address import VARIABLES, address_of
    from pnn_gluon.tracking.telling import tell as tell_trackers

    SECRET_VARIABLES.update(VARIABLES.values())
    to = {kind: _located(given.get(kind)) or (None if given else address_of(config, kind)) for kind in VARIABLES}
    known = {kind: address for kind, address in to.items() if address}
    if not known:
        raise ConfigError(f"{config.path}: nobody to tell: give --mlflow or --openlineage, or name them in [tracking]")
    told = tell_trackers(config, days, known, again)
    status = "unsent" if any(each.unsent for each in told.values()) else "done"
    details = {kind: dataclasses.asdict(each) for kind, each in told.items()}
    return {"step": "track", "day": str(days[-1]), "status": status, "details": details}


def _located(address: str | None) -> str | None:
    """A file as the shell means it, from the folder that the command runs in."""
    return address if address is None or "://" in address else str(Path(address).absolute())
