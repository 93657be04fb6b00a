"""A person's answer about a candidate that the gate accepted: may it be promoted?"""

import json
import logging
from typing import Annotated, Any

import typer

from jobs.approval import Answer, question, record
from jobs.command import ConfigOption, DayOption, guarded, print_outcome
from jobs.signature import Signature, moment, reasoned, signed
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError

log = logging.getLogger(__name__)

WAITING = 4
"""Exit status while a person is to be asked."""


def command(
    config: ConfigOption,
    day: DayOption,
    reason: Annotated[str, typer.Option(help="Why; recorded.")] = "",
    reject: Annotated[bool, typer.Option("--reject", help="Keep the model in force instead.")] = False,
    by: Annotated[str | None, typer.Option(help="Who decides; your login name by default.")] = None,
    user_id: Annotated[str | None, typer.Option(help="The same person's id, if it is another name.")] = None,
    at: Annotated[str | None, typer.Option(help="When, with time zone; now by default.")] = None,
    candidate: Annotated[str | None, typer.Option(help="The run of the bundle that was asked about.")] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="Nobody answered in time.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Show the question; status 4 while it waits.")] = False,
) -> None:
    """Approve or reject a candidate that the gate asks a person about; the next run of the day acts on it."""
    options, when = load_config(config), parse_day(day)
    if show:
        found = question(options, when)
        status = "waiting" if found.waits else "skipped"
        details: dict[str, Any] = found._asdict() | {"reasons": [found.words]}
        print(json.dumps({"step": "approval", "day": str(when), "status": status, "details": details}))
        raise typer.Exit(WAITING if found.waits else 0)
    if nobody and (by is not None or reason):
        raise ConfigError("--nobody: nobody decides, so there is neither --by nor --reason")
    answer = _unanswered(options, at, candidate) if nobody else None
    if answer is None:
        answer = Answer(not reject, reasoned(reason), signed(by, at), candidate, user_id)
    status_of = print_outcome(guarded(lambda: record(options, when, answer)))
    if not status_of:
        log.info("now: pnn-gluon run --config %s --day %s, or clear promote and what follows", options.path, when)
    raise typer.Exit(status_of)


def _unanswered(config: Config, at: str | None, candidate: str | None) -> Answer:
    """The answer of nobody: the model in force stays."""
    words = f"nobody answered within {config.approval.hours:g} h"
    return Answer(False, words, Signature(None, moment(at)), candidate)
