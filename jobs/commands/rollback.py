"""Put another day's model in force by a recorded decision, then score and publish again."""

import dataclasses
import datetime
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from jobs.command import ConfigOption, print_outcome
from jobs.running import Build, Outcome, Work, run_step
from jobs.signature import UNSIGNED, Signature, reasoned, refusal, signed
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.details import OverrideDetails
from pnn_gluon.pipeline.inputs import ChosenBundle
from pnn_gluon.pipeline.step import Built, Step
from pnn_gluon.pipeline.steps import step
from pnn_gluon.pipeline.tables import OVERRIDE_FILE
from pnn_gluon.pipeline.work import Inputs

log = logging.getLogger(__name__)


def command(
    config: ConfigOption,
    day: Annotated[str, typer.Option(help="The day whose scores are to change: usually the newest.")],
    reason: Annotated[str, typer.Option(help="Why; recorded.")],
    to: Annotated[str | None, typer.Option(help="Day of the model to put in force.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take an earlier rollback of this day back.")] = False,
    by: Annotated[str | None, typer.Option(help="Who decides; your login name by default.")] = None,
) -> None:
    """Put the model of another day in force (even one the gate refused), score and publish again."""
    options, when, chosen = load_config(config), parse_day(day), parse_day(to) if to else None
    print_rolled_back("rollback", when, roll_back(options, when, chosen, reason, clear, signed(by)))


def print_rolled_back(command: str, day: datetime.date, outcomes: Iterator[Outcome]) -> None:
    """Print each step as it ends, and at the end one line that says which model is in force."""
    done = {}
    for outcome in outcomes:
        done[outcome.step] = outcome
        print_outcome(outcome)
    told = dict(done["rollback"].details) | {"in_force": done["promote"].details["model_day"]}
    print(json.dumps({"step": command, "day": str(day), "status": "done", "details": told}))


def roll_back(
    config: Config,
    day: datetime.date,
    to: datetime.date | None,
    reason: str,
    clear: bool,
    signature: Signature = UNSIGNED,
) -> Iterator[Outcome]:
    """Record the override of `day`, then promote, score, publish and report that day.

    The override is an input of promote like any other, so a rebuilt day decides the same again; it needs nothing that
    the day itself made. With `clear` the gate's own decision returns. Another process that promotes, scores or
    publishes the day is waited for, and what it made is made anew; after a kill a second rollback ends it.

    Raises:
        ConfigError: without a reason, when `to` and `clear` are both given or both missing, or by somebody who may not
            decide.
    """
    if (refused := refusal(config, signature.by)) is not None:
        raise ConfigError(refused)
    if clear == (to is not None):
        raise ConfigError("say either --to DAY, the model to put in force, or --clear, to take a rollback back")
    reason = reasoned(reason)
    if to is not None and to > day:
        raise ConfigError(f"--to {to}: after --day {day}; a day can only use models made up to it")
    yield run_step(_override(to), config, day, force=True, wait=True, work=Work(_recording(to, reason, signature)))
    for name in ("promote", "score", "publish", "report"):
        log.info("rollback %s: %s, after whoever is at work on it", day, name)
        yield run_step(step(name), config, day, wait=True)


def _override(to: datetime.date | None) -> Step:
    """The step that records a decision; it reads the bundle that is chosen."""
    return dataclasses.replace(step("rollback"), inputs=() if to is None else (ChosenBundle(to),))


def _recording(to: datetime.date | None, reason: str, signature: Signature) -> Build:
    """What that step does."""

    def build(inputs: Inputs, folder: Path) -> Built:
        details = OverrideDetails(to=str(to) if to else None, reason=reason, by=signature.by, at=signature.at)
        (folder / OVERRIDE_FILE).write_text(json.dumps(details.to_json(), indent=1, sort_keys=True) + "\n")
        who = f" by {signature.by}" if signature.by else ""
        log.info("rollback %s: %s%s", inputs.day, f"to the model of {to}" if to else "taken back", who)
        return Built(1, details)

    return build
