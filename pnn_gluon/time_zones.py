"""Days of a business: where they begin and end, and when the clocks of their time zone are put on or back.

Zones are those of the package tzdata, so that every machine of an installation has the same ones.
"""

import datetime
import difflib
import importlib.resources
import re
from functools import cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pnn_gluon.errors import ConfigError

UTC = "UTC"
_NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*)*")
_HOUR = datetime.timedelta(hours=1)
_SECOND = datetime.timedelta(seconds=1)


class ClockChange(NamedTuple):
    """A moment at which the clocks of a zone are put on or back.

    Attributes:
        at: The moment, in UTC.
        before: Seconds that the clocks are ahead of UTC until then.
        after: Seconds that they are ahead from then on.
    """

    at: datetime.datetime
    before: int
    after: int

    @property
    def clock_before(self) -> datetime.datetime:
        """What the clocks show when they are changed."""
        return self.at + datetime.timedelta(seconds=self.before)

    @property
    def clock_after(self) -> datetime.datetime:
        """What they show just after it."""
        return self.at + datetime.timedelta(seconds=self.after)


class Clocks(NamedTuple):
    """The clocks of a zone around a day: their changes in order, and seconds ahead of UTC after the last of these."""

    changes: tuple[ClockChange, ...]
    last: int


@cache
def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name.

    Raises:
        ConfigError: there is no such zone.
    """
    package = importlib.resources.files("tzdata")
    if not _NAME.fullmatch(name) or not package.joinpath("zoneinfo", *name.split("/")).is_file():
        close = difflib.get_close_matches(name, package.joinpath("zones").read_text().split(), n=1)
        meant = f", did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"no time zone {name!r}{meant}; expected an IANA name such as Europe/Berlin")
    with package.joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def start_of(day: datetime.date, name: str) -> datetime.datetime:
    """When a day begins in a zone, in UTC; where its midnight is skipped, when the clocks skip it.

    >>> start_of(datetime.date(2026, 7, 1), "Europe/Berlin").isoformat()
    '2026-06-30T22:00:00'
    """
    midnight = datetime.datetime.combine(day, datetime.time())
    for change in clocks(day, name, 0).changes:
        if change.clock_before <= midnight < change.clock_after:
            return change.at
    local = midnight.replace(tzinfo=zone_of(name))
    return local.astimezone(datetime.UTC).replace(tzinfo=None)


def hours_shown(day: datetime.date, name: str) -> list[int]:
    """The hours that the clocks of a zone show on a day, in order, each once.

    >>> hours_shown(datetime.date(2026, 3, 29), "Europe/Berlin")[:4]
    [0, 1, 3, 4]
    """
    start, stop = start_of(day, name), start_of(day + datetime.timedelta(1), name)
    moments = [start + n * _HOUR / 4 for n in range((stop - start) // (_HOUR / 4))]
    return list(
        dict.fromkeys((each + datetime.timedelta(seconds=_ahead(each, zone_of(name)))).hour for each in moments)
    )


def rules_of(day: datetime.date, name: str) -> str:
    """By which rules a day of a zone is cut: its begin and its end, in UTC, and how its clocks go.

    >>> rules_of(datetime.date(2026, 10, 25), "Europe/Berlin")
    '2026-10-24T22:00:00Z +7200, 2026-10-25T01:00:00Z +3600, 2026-10-25T23:00:00Z'
    """
    start, end = start_of(day, name), start_of(day + datetime.timedelta(1), name)
    moments = [start, *(change.at for change in clocks(day, name).changes if start < change.at < end)]
    told = [f"{moment.isoformat()}Z {_ahead(moment, zone_of(name)):+}" for moment in moments]
    return ", ".join([*told, f"{end.isoformat()}Z"])


def clocks(day: datetime.date, name: str, days: int = 0) -> Clocks:
    """The clocks of a zone from four days before a day until four days after the one so many days later.

    Moments outside are in none of these days, whichever of these clocks they are read by.
    """
    zone = zone_of(name)
    hours = range(-4 * 24, (days + 5) * 24)
    first = datetime.datetime.combine(day, datetime.time())
    offsets = [(first + n * _HOUR, _ahead(first + n * _HOUR, zone)) for n in hours]
    changes = []
    for (start, before), (stop, after) in pairwise(offsets):
        if before != after:
            changes.append(ClockChange(_change(start, stop, zone), before, after))
    return Clocks(tuple(changes), offsets[-1][1])


def _ahead(moment: datetime.datetime, zone: ZoneInfo) -> int:
    """Seconds that the clocks of a zone are ahead of UTC at a moment in UTC."""
    offset = moment.replace(tzinfo=datetime.UTC).astimezone(zone).utcoffset()
    return int((offset or datetime.timedelta()).total_seconds())


def _change(start: datetime.datetime, stop: datetime.datetime, zone: ZoneInfo) -> datetime.datetime:
    """The first moment after `start` at which the clocks are those of `stop`, to the second."""
    after = _ahead(stop, zone)
    while stop - start > _SECOND:
        middle = start + (stop - start) // 2
        middle = middle.replace(microsecond=0)
        start, stop = (start, middle) if _ahead(middle, zone) == after else (middle, stop)
    return stop


def hours_behind(name: str) -> float:
    """The most hours by which the days of a zone end after those of UTC, by the clocks of a January and a July.

    >>> hours_behind("America/New_York"), hours_behind("Asia/Tokyo")
    (5.0, 0.0)
    """
    ahead = [_ahead(datetime.datetime(2026, month, 1), zone_of(name)) for month in (1, 7)]
    return max(0.0, -min(ahead) / 3600)
