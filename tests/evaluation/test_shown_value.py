"""Values of fields where there is little room: short, and no two alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnn_gluon.evaluation.shown_value import MOST_CHARACTERS, shown_value


@given(value=st.text(max_size=MOST_CHARACTERS))
def test_a_short_value_is_told_as_it_is(value: str) -> None:
    assert shown_value(value) == value


@pytest.mark.parametrize("where", [0, 20, 45, 69])
def test_long_values_that_differ_in_one_character_are_told_apart(where: int) -> None:
    one = "x" * 70
    other = one[:where] + "y" + one[where + 1 :]
    assert shown_value(one) != shown_value(other)
    assert len(shown_value(one)) == len(shown_value(other)) == MOST_CHARACTERS


def test_half_a_surrogate_pair_is_no_fault() -> None:
    assert shown_value("\ud800" * 50).startswith("\ud800")
