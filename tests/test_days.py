"""Days are arguments, parsed strictly."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnn_gluon.days import day_range, parse_day, parse_days, window
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
