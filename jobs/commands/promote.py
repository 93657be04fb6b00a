"""Put a day's own candidate in force by a recorded decision, then score and publish again."""

import datetime
from typing import Annotated

import typer

from jobs.command import ConfigOption
from jobs.commands.rollback import print_rolled_back, roll_back
from jobs.signature import signed
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.reading import Reading
from pnn_gluon.pipeline.tables import GATES


def command(
    config: ConfigOption,
    day: Annotated[str, typer.Option(help="The day whose candidate is to be in force.")],
    reason: Annotated[str, typer.Option(help="Why; recorded.")],
    force: Annotated[bool, typer.Option("--force", help="Also a candidate that the gate did not accept.")] = False,
    by: Annotated[str | None, typer.Option(help="Who decides; your login name by default.")] = None,
) -> None:
    """Put the candidate of a day in force, with --force against the gate, score and publish again."""
    options, when = load_config(config), parse_day(day)
    if not force and (why := unaccepted(options, when)):
        raise ConfigError(f"the candidate of {when}: {why}; --force puts it in force all the same")
    print_rolled_back("promote", when, roll_back(options, when, when, reason, False, signed(by)))


def unaccepted(config: Config, day: datetime.date) -> str:
    """Why the gate has not accepted the candidate of a day; empty if it has."""
    gate = Reading(config, open_store(config), day).maybe(GATES, day)
    if gate is None:
        return "the gate has not judged it"
    if gate.details.accepted and gate.kept is None:
        return ""
    return f"the gate refused: {'; '.join(gate.details.reasons)}"
