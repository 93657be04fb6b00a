"""Declare a day as an outage: its logs are lost, and the days after it go on without them."""

import datetime
import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from jobs.command import ConfigOption, print_outcome
from jobs.running import Build, Outcome, Work, run_step
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import parse_day
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.details import SkipDetails
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.steps import step
from pnn_gluon.pipeline.tables import SKIP_FILE
from pnn_gluon.pipeline.work import Inputs

log = logging.getLogger(__name__)


def command(
    config: ConfigOption,
    day: Annotated[str, typer.Option(help="The day whose logs are lost.")],
    reason: Annotated[str, typer.Option(help="Why; recorded.")],
    clear: Annotated[bool, typer.Option("--clear", help="Take it back: the logs came after all.")] = False,
) -> None:
    """Declare a day as an outage: it is kept without rows, and the days after it go on."""
    print_outcome(skip_day(load_config(config), parse_day(day), reason, clear))


def skip_day(config: Config, day: datetime.date, reason: str, clear: bool) -> Outcome:
    """Record that a day has no logs, whatever lies in its place; with `clear`, that it has them after all.

    The declaration is an input of ingest: the day is then read as a day of no rows, and everything made from what was
    read before is stale.

    Raises:
        ConfigError: without a reason, or for a day before the pipeline's first.
    """
    if not reason.strip():
        raise ConfigError("--reason: say why in a few words; it is recorded")
    work = Work(_declaring(reason, skipped=not clear))
    outcome = run_step(step("skip_day"), config, day, force=True, wait=True, work=work)
    log.info("now make the day: pnn-gluon run --config %s --day %s, or clear its tasks in Airflow", config.path, day)
    return outcome


def _declaring(reason: str, skipped: bool) -> Build:
    """What the step does: write the declaration."""

    def build(inputs: Inputs, folder: Path) -> Built:
        details = SkipDetails(skipped=skipped, reason=reason)
        (folder / SKIP_FILE).write_text(json.dumps(details.to_json(), indent=1, sort_keys=True) + "\n")
        log.info("skip_day %s: %s: %s", inputs.day, "declared as skipped" if skipped else "taken back", reason)
        return Built(1, details)

    return build
