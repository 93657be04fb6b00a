import pytest

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError


def test_slots_pairs_and_starts_follow_from_the_widths():
    layout = FieldLayout.from_widths({"site": 1, "tags": 3, "hour": 1, "device": 1})
    assert (layout.fields, layout.slots, layout.pairs) == (4, 6, 6)
    assert layout.starts == (0, 1, 4, 5)
    assert layout.has_multi_valued


def test_runs_group_single_valued_neighbours():
    layout = FieldLayout.from_widths({"a": 1, "b": 1, "c": 2, "d": 3, "e": 1})
    assert list(layout.runs()) == [(0, 2, False), (2, 4, True), (4, 7, True), (7, 8, False)]


def test_single_valued_layout_has_one_run():
    layout = FieldLayout.single_valued(("a", "b"))
    assert list(layout.runs()) == [(0, 2, False)]
    assert not layout.has_multi_valued


@pytest.mark.parametrize(
    ("names", "widths"),
    [
        ((), ()),
        (("a",), (1, 1)),
        (("a", "a"), (1, 1)),
        (("",), (1,)),
        (("a",), (0,)),
        (("a",), (1.0,)),
        (("a",), (True,)),
    ],
)
def test_impossible_layouts_are_refused(names, widths):
    with pytest.raises(ConfigError):
        FieldLayout(names, widths)
