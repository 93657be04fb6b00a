"""Days as arguments: parsing, ranges, arithmetic. Nothing here reads the clock."""

import datetime
import re

from pnn_gluon.errors import ConfigError

_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

MOST_DAYS = 3660
"""Days that a range may have: ten years."""


def parse_day(text: str) -> datetime.date:
    """The day written as YYYY-MM-DD.

    Raises:
        ConfigError: for any other form, so that a day can be put into a path or a statement.
    """
    try:
        if not _ISO_DAY.fullmatch(text):
            raise ValueError(text)
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"day {text!r}: expected a date such as 2026-11-02 (YYYY-MM-DD)") from error


def parse_days(text: str) -> list[datetime.date]:
    """One day, or an inclusive range written first..last, of ten years at most.

    >>> [day.isoformat() for day in parse_days("2026-11-02..2026-11-03")]
    ['2026-11-02', '2026-11-03']
    """
    first, separator, last = text.partition("..")
    begin, end = parse_day(first), parse_day(last if separator else first)
    if end < begin:
        raise ConfigError(f"days {text!r}: the first day is after the last; write them as first..last")
    if (end - begin).days >= MOST_DAYS:
        raise ConfigError(
            f"days {text!r}: {(end - begin).days + 1:,} days, expected at most {MOST_DAYS:,}; name a shorter range"
        )
    return day_range(begin, end)


def day_range(first: datetime.date, last: datetime.date) -> list[datetime.date]:
    """Every day from first to last, both included; empty when first is after last."""
    return [first + datetime.timedelta(n) for n in range((last - first).days + 1)]


def plus(day: datetime.date, days: int) -> datetime.date:
    """The day that many days later (earlier when negative).

    Raises:
        ConfigError: there is no such day in the calendar.
    """
    try:
        return day + datetime.timedelta(days)
    except OverflowError as error:
        raise ConfigError(f"day {day}: the day {days:+,} from it is outside the calendar; choose another") from error


def window(day: datetime.date, days: int, first_day: datetime.date) -> list[datetime.date]:
    """The days of the window that ends at day, none before the first day of the pipeline."""
    return day_range(plus(day, max(1 - days, (first_day - day).days)), day)
