"""Days are arguments, parsed strictly."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnn_gluon.days import day_range, parse_day, parse_days, plus, window
from pnn_gluon.errors import ConfigError


@given(st.dates())
def test_a_day_survives_its_text(day: datetime.date) -> None:
    assert parse_day(day.isoformat()) == day


@pytest.mark.parametrize(
    "text", ["2026-11-2", "20261102", "2026-02-30", "today", "2026-11-02'; drop table x", "", "２026-11-02"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a date such as"):
        parse_day(text)


def test_a_range_holds_both_ends() -> None:
    assert [day.day for day in parse_days("2026-11-29..2026-12-01")] == [29, 30, 1]
    with pytest.raises(ConfigError, match="first day is after the last"):
        parse_days("2026-11-02..2026-11-01")


@given(st.dates(datetime.date(2000, 1, 1), datetime.date(2100, 1, 1)), st.integers(1, 60), st.integers(0, 60))
def test_a_window_ends_today_and_begins_no_earlier_than_the_pipeline(day: datetime.date, days: int, age: int) -> None:
    first = day - datetime.timedelta(age)
    found = window(day, days, first)
    assert found == day_range(found[0], day)
    assert len(found) == min(days, age + 1)


@pytest.mark.parametrize("text", ["0001-01-01..9999-12-31", "2026-01-01..2036-01-09"])
def test_a_range_of_more_than_ten_years_is_refused_at_once(text: str) -> None:
    with pytest.raises(ConfigError, match="expected at most 3,660; name a shorter range"):
        parse_days(text)


def test_ten_years_are_a_range() -> None:
    assert len(parse_days("2026-01-01..2036-01-08")) == 3660


@pytest.mark.parametrize("text", ["../../etc", "2026-11-02/..", "２０２６-11-02", "2026-11-02\n", "..", "2026-11-02.."])
def test_nothing_but_a_day_is_a_day(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a date"):
        parse_days(text)


@pytest.mark.parametrize(("day", "days"), [(datetime.date.max, 1), (datetime.date.min, -1)])
def test_a_day_outside_the_calendar_is_an_error_of_the_user(day: datetime.date, days: int) -> None:
    with pytest.raises(ConfigError, match="outside the calendar"):
        plus(day, days)


def test_a_window_at_the_beginning_of_the_calendar_ends_with_it() -> None:
    assert window(datetime.date.min, 7, datetime.date.min) == [datetime.date.min]
