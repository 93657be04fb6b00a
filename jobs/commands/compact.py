"""Win back the room of ids that no row is read by: expired ones, and those of fields that were given up."""

import datetime
import logging
from pathlib import Path
from typing import Annotated

import typer

from jobs.command import ConfigOption, DayOption, print_outcome
from jobs.running import Build, Outcome, Work, run_step
from jobs.signature import Signature, reasoned, signed
from jobs.steps.compact import compacted
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import parse_day, plus
from pnn_gluon.pipeline.details import CompactionDetails
from pnn_gluon.pipeline.step import Built
from pnn_gluon.pipeline.steps import step
from pnn_gluon.pipeline.work import Inputs

log = logging.getLogger(__name__)


def command(
    config: ConfigOption,
    day: DayOption,
    reason: Annotated[str, typer.Option(help="Why; recorded.")],
    by: Annotated[str | None, typer.Option(help="Who asks for it; your login name by default.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take it back.")] = False,
) -> None:
    """Leave expired ids and those of former fields out of the map and the model that the days after go on from."""
    print_outcome(compact(load_config(config), parse_day(day), reasoned(reason), signed(by), clear))


def compact(config: Config, day: datetime.date, reason: str, signature: Signature, clear: bool = False) -> Outcome:
    """Record a compact map of a day, and the model in force by it; with `clear`, that the day's own map goes on.

    The day itself stays as it is. Days after it that were made are stale.

    Raises:
        ConfigError: there is nothing to win, or the model in force is by another day's map.
    """
    work = Work(_taken_back(reason, signature) if clear else _made(reason, signature))
    outcome = run_step(step("compact"), config, day, force=True, wait=True, work=work)
    log.info(
        "the map of %s goes on from it: pnn-gluon run --config %s --day %s", plus(day, 1), config.path, plus(day, 1)
    )
    return outcome


def _made(reason: str, signature: Signature) -> Build:
    def build(inputs: Inputs, folder: Path) -> Built:
        return compacted(inputs, folder, reason, *signature)

    return build


def _taken_back(reason: str, signature: Signature) -> Build:
    def build(inputs: Inputs, folder: Path) -> Built:
        return Built(0, CompactionDetails(new_ids=0, compacted=False, reason=reason, by=signature.by, at=signature.at))

    return build
