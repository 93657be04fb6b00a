"""Days told to those who track a pipeline. One that is away is a warning, and told the next time."""

import dataclasses
import datetime
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pnn_gluon.config import Config
from pnn_gluon.extras import require
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.tracking.address import Kind
from pnn_gluon.tracking.away import AwayError
from pnn_gluon.tracking.tracked_day import TrackedDay
from pnn_gluon.tracking.unsent import Notes

log = logging.getLogger(__name__)


class Tracker(Protocol):
    """Somebody who is told of days."""

    def send(self, day: datetime.date) -> None:
        """Tell of a day; the notes say what is left to tell after an error."""

    def finish(self) -> None:
        """What is to do after the last day."""


@dataclasses.dataclass(frozen=True)
class Told:
    """What one tracker was told, and why not the rest."""

    sent: Sequence[str]
    unsent: Sequence[str]
    why: str | None = None


def tell(config: Config, days: Sequence[datetime.date], to: Mapping[Kind, str], again: bool = False) -> dict[str, Told]:
    """Tell trackers of days, and of earlier ones that could not be told.

    Args:
        config: The pipeline.
        days: The days.
        to: By kind the address of each tracker.
        again: Whether to send what was sent before, too.

    Raises:
        PnnError: the packages of a tracker are not installed.
    """
    require(*to)
    for day in days:
        if not TrackedDay(config, day).anything:
            log.warning("track %s: nothing of this day is in the store", day)
    with open_store(config).lock("track", wait=True):
        return {kind: _tell_one(config, kind, address, days, again) for kind, address in to.items()}


def _tell_one(config: Config, kind: Kind, address: str, days: Sequence[datetime.date], again: bool) -> Told:
    notes = Notes(open_store(config), kind, address)
    waiting = sorted({*days, *notes.unsent()})
    for day in waiting:  # whatever ends this now, the next call knows
        notes.write(day, notes.sent(day), whole=False)
    why = _try(lambda: _TRACKERS[kind](config, address, notes, again), waiting)
    unsent = notes.unsent()
    if why is not None and not unsent:  # the aliases are left: the next call points them
        unsent = {waiting[-1]}
        notes.write(waiting[-1], notes.sent(waiting[-1]), whole=False)
    if why is not None:
        log.warning("track: %s could not be told of %s: %s", kind, ", ".join(map(str, sorted(unsent))), why)
    return Told([str(day) for day in waiting if day not in unsent], [str(day) for day in sorted(unsent)], why)


def _try(tracker: Callable[[], Tracker], days: Sequence[datetime.date]) -> str | None:
    """Send days in order; why that ended before the last of them."""
    try:
        opened = tracker()
        for day in days:
            opened.send(day)
        opened.finish()
    except AwayError as error:
        return str(error)
    return None


MLFLOW_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""What MLflow reads of the environment, unless it is set.

A server that is away holds up nothing for long, nobody else is told, and the JSON of the command is alone.
"""


def _mlflow(config: Config, address: str, notes: Notes, again: bool) -> Tracker:
    for name, value in MLFLOW_SETTINGS.items():  # before the import, which reads some of them
        os.environ.setdefault(name, value)
    from pnn_gluon.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(config, address, notes, again)


def _openlineage(config: Config, address: str, notes: Notes, again: bool) -> Tracker:
    from pnn_gluon.tracking.openlineage_tracker import OpenLineageTracker

    return OpenLineageTracker(config, address, notes, again)


_TRACKERS: Mapping[Kind, Callable[[Config, str, Notes, bool], Tracker]] = {
    "mlflow": _mlflow,
    "openlineage": _openlineage,
}
