"""Put another day's model in force by a recorded decision, then score and publish again."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from jobs.command import ConfigOption, print_outcome, report
from jobs.pipeline import step
from jobs.reading import Reading
from jobs.step import Built, Outcome, Report, Step
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError


def command(
    config: ConfigOption,
    day: Annotated[str, typer.Option(help="The day whose scores are to change: usually the newest.")],
    reason: Annotated[str, typer.Option(help="Why; recorded.")],
    to: Annotated[str | None, typer.Option(help="Day of the model to put in force.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take an earlier rollback of this day back.")] = False,
) -> None:
    """Put the model of another day in force (even one the gate refused), score and publish again."""
    chosen = parse_day(to) if to else None
    for outcome in roll_back(load_config(config), parse_day(day), chosen, reason, clear, report):
        print_outcome(outcome)


def roll_back(
    config: Config, day: datetime.date, to: datetime.date | None, reason: str, clear: bool, report: Report
) -> Iterator[Outcome]:
    """Record the override of `day`, then promote, score and publish that day.

    The override is an input of promote like any other, so a rebuilt day decides the same again; it needs nothing that
    the day itself made. With `clear` the gate's own decision returns. Another process that promotes, scores or
    publishes the day is waited for, and what it made is made anew; after a kill a second rollback ends it.

    Raises:
        ConfigError: without a reason, or when `to` and `clear` are both given or both missing.
    """
    if clear == (to is not None):
        raise ConfigError("say either --to DAY, the model to put in force, or --clear, to take a rollback back")
    if not reason.strip():
        raise ConfigError("--reason: say why in a few words; it is recorded")
    if to is not None and to > day:
        raise ConfigError(f"--to {to}: after --day {day}; a day can only use models made up to it")
    yield _override(to, reason).run(config, day, force=True, report=report, wait=True)
    for name in ("promote", "score", "publish"):
        report(f"rollback {day}: {name}, after whoever is at work on it")
        yield step(name).run(config, day, report=report, wait=True)


def _override(to: datetime.date | None, reason: str) -> Step:
    def reads(reading: Reading) -> None:
        if to is not None:
            reading.need_bundle(to)

    def build(reading: Reading, folder: Path, report: Report) -> Built:
        details = {"to": str(to) if to else None, "reason": reason}
        (folder / "override.json").write_text(json.dumps(details, indent=1, sort_keys=True) + "\n")
        report(f"rollback {reading.day}: to the model of {to}" if to else f"rollback {reading.day}: taken back")
        return Built(1, details)

    return Step("rollback", "overrides", (), reads, build)
