"""Days of a time zone and its clocks, against Python's datetime."""

import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnn_gluon.days import plus
from pnn_gluon.errors import ConfigError
from pnn_gluon.time_zones import ClockChange, clocks, hours_behind, hours_shown, start_of, zone_of

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago"]
DAYS = st.dates(datetime.date(1975, 1, 1), datetime.date(2036, 12, 31))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-28", 24),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("America/Santiago", "2024-09-08", 23),  # its midnight is skipped
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("UTC", "2026-03-29", 24),
    ],
)
def test_a_day_has_the_hours_that_its_clocks_show(zone: str, day: str, hours: float) -> None:
    date = datetime.date.fromisoformat(day)
    assert start_of(plus(date, 1), zone) - start_of(date, zone) == datetime.timedelta(hours=hours)


@given(st.sampled_from(ZONES), DAYS, st.integers(-2 * 86400, 3 * 86400))
def test_clocks_of_a_day_are_those_of_its_zone(zone: str, day: datetime.date, seconds: int) -> None:
    moment = datetime.datetime.combine(day, datetime.time()) + datetime.timedelta(seconds=seconds)
    found = clocks(day, zone)
    ahead = next((each.before for each in found.changes if moment < each.at), found.last)
    offset = moment.replace(tzinfo=datetime.UTC).astimezone(zone_of(zone)).utcoffset()
    assert datetime.timedelta(seconds=ahead) == offset


@given(st.sampled_from(ZONES), DAYS)
def test_a_day_begins_with_the_first_moment_of_its_date(zone: str, day: datetime.date) -> None:
    start = start_of(day, zone).replace(tzinfo=datetime.UTC)
    dates = [(start + datetime.timedelta(seconds=n)).astimezone(zone_of(zone)).date() for n in (-1, 0)]
    assert dates == [plus(day, -1), day]


def test_a_change_within_an_hour_is_found_to_the_second() -> None:
    found = clocks(datetime.date(2026, 10, 4), "Australia/Lord_Howe")
    change = ClockChange(datetime.datetime(2026, 10, 3, 15, 30), 10 * 3600 + 1800, 11 * 3600)
    assert found == ((change,), 11 * 3600)
    assert (change.clock_before.time(), change.clock_after.time()) == (datetime.time(2), datetime.time(2, 30))
    (second,) = clocks(datetime.date(1906, 1, 1), "Asia/Kolkata").changes
    assert str(second.at) == "1905-12-31 18:38:50"


@pytest.mark.parametrize(
    ("zone", "day", "missing"),
    [
        ("Europe/Berlin", "2026-03-29", {2}),
        ("Europe/Berlin", "2026-10-25", set()),
        ("America/Santiago", "2024-09-08", {0}),
        ("Australia/Lord_Howe", "2026-10-04", set()),
    ],
)
def test_hours_of_a_day_are_those_that_its_clocks_show(zone: str, day: str, missing: set[int]) -> None:
    shown = hours_shown(datetime.date.fromisoformat(day), zone)
    assert shown == [hour for hour in range(24) if hour not in missing]


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("UTC", 0), ("Asia/Tokyo", 0), ("Europe/London", 0), ("America/St_Johns", 3.5), ("Pacific/Easter", 6)],
)
def test_days_west_of_greenwich_end_later(zone: str, hours: float) -> None:
    assert hours_behind(zone) == hours


def test_zones_are_those_of_the_installed_package() -> None:
    assert zone_of("Europe/Berlin").key == "Europe/Berlin"
    assert zone_of("Europe/Berlin") is not ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("name", "said"), [("Europe/Berlinn", "did you mean 'Europe/Berlin'"), ("../zones", "expected"), ("", "expected")]
)
def test_a_zone_that_is_none_is_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"no time zone '{name}'.*{said}"):
        zone_of(name)
