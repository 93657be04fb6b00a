"""Declare a day as an outage: its logs are lost, and the days after it go on without them."""

import datetime
import json
from pathlib import Path
from typing import Annotated

import typer

from jobs.command import ConfigOption, print_outcome, report
from jobs.reading import Reading
from jobs.step import Built, Outcome, Report, Step
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError


def command(
    config: ConfigOption,
    day: Annotated[str, typer.Option(help="The day whose logs are lost.")],
    reason: Annotated[str, typer.Option(help="Why; recorded.")],
    clear: Annotated[bool, typer.Option("--clear", help="Take it back: the logs came after all.")] = False,
) -> None:
    """Declare a day as an outage: it is kept without rows, and the days after it go on."""
    print_outcome(skip_day(load_config(config), parse_day(day), reason, clear, report))


def skip_day(config: Config, day: datetime.date, reason: str, clear: bool, report: Report) -> Outcome:
    """Record that a day has no logs, whatever lies in its place; with `clear`, that it has them after all.

    The declaration is an input of ingest: the day is then read as a day of no rows, and everything made from what was
    read before is stale.

    Raises:
        ConfigError: without a reason, or for a day before the pipeline's first.
    """
    if not reason.strip():
        raise ConfigError("--reason: say why in a few words; it is recorded")
    outcome = _declaration(reason, skipped=not clear).run(config, day, force=True, report=report, wait=True)
    report(f"now make the day: pnn-gluon run --config {config.path} --day {day}, or clear its tasks in Airflow")
    return outcome


def _declaration(reason: str, skipped: bool) -> Step:
    def build(reading: Reading, folder: Path, report: Report) -> Built:
        details = {"skipped": skipped, "reason": reason}
        (folder / "skip.json").write_text(json.dumps(details, indent=1, sort_keys=True) + "\n")
        report(f"skip_day {reading.day}: {'declared as skipped' if skipped else 'taken back'}: {reason}")
        return Built(1, details)

    return Step("skip_day", "skips", (), lambda reading: None, build)
