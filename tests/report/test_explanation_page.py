"""What a model learned, as a page and as tables of the terminal."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from pnn_gluon.report.charts import NAMED_FIELDS, pairs_chart
from pnn_gluon.report.day_document import DayDocument
from pnn_gluon.report.explanation_tables import SHOWN_EPOCHS, explanation_tables, explanation_words
from pnn_gluon.report.pages import render_explanation
from pnn_gluon.report.strongest_pairs import strongest_pairs
from tests.report.test_index_page import Page

EVIL = "<script>alert('x')</script>[bold]"


@pytest.fixture
def explanation(document: DayDocument) -> dict[str, Any]:
    assert document.explanation is not None
    return {**document.explanation, "history": list(document.history)}


def printed(explanation: dict[str, Any]) -> str:
    out = Console(file=io.StringIO(), width=200)
    for each in (*explanation_words(explanation), *explanation_tables(explanation)):
        out.print(each, markup=False)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def bare(explanation: dict[str, Any]) -> dict[str, Any]:
    """Trees without rows."""
    return {
        **explanation,
        "rows": 0,
        "importance": [],
        "importance_missing": "it needs rows",
        "pairs": None,
        "pairs_missing": "gbdt has trees",
        "layers": [],
        "layers_missing": "gbdt has no layers",
        "history": [],
    }


def test_page_and_terminal_tell_the_same(explanation: dict[str, Any]) -> None:
    texts, shown = Page(render_explanation("T", explanation)).texts, printed(explanation)
    for expected in ("0.01310 to 0.03000", "0.0123", "c1, c3", "-0.7", "dense0", "0.0456"):
        assert expected in texts
        assert expected in shown
    assert "What the model of 2026-11-03 learned (ipnn)" in texts
    assert "Learning curve" in texts
    assert "0.30000" in shown


def test_what_is_missing_is_said_in_words(explanation: dict[str, Any]) -> None:
    page, shown = render_explanation("T", bare(explanation)), printed(bare(explanation))
    for expected in ("it needs rows", "gbdt has trees", "gbdt has no layers"):
        assert expected in page
        assert expected in shown
    assert "<svg" not in page
    assert "━" not in shown


def test_names_are_escaped_and_no_markup(explanation: dict[str, Any]) -> None:
    spoilt = {
        **explanation,
        "model": EVIL,
        "pairs": {**explanation["pairs"], "fields": [EVIL, EVIL, EVIL], "kind": EVIL},
        "importance": [{**explanation["importance"][0], "field": EVIL}],
        "layers": [{**explanation["layers"][0], "layer": EVIL}],
    }
    page = render_explanation(EVIL, spoilt)
    assert "<script" not in page
    assert Page(page).texts.count(EVIL) >= 4
    assert printed(spoilt).count("[bold]") >= 4


def test_the_strongest_pairs_are_those_of_the_largest_spread_or_else_size(explanation: dict[str, Any]) -> None:
    pairs = explanation["pairs"]
    found = [(*each["fields"], each["strength"], each["spread"]) for each in strongest_pairs(pairs)]
    assert found == [("c2", "c3", 0.1, 0.3), ("c1", "c3", -0.7, 0.2), ("c1", "c2", 0.5, 0.0321)]
    found = [(*each["fields"], each["strength"], each["spread"]) for each in strongest_pairs({**pairs, "spread": None})]
    assert found == [("c1", "c3", -0.7, None), ("c1", "c2", 0.5, None), ("c2", "c3", 0.1, None)]
    assert len(strongest_pairs(pairs, 2)) == 2


def test_a_long_learning_curve_is_thinned_and_keeps_its_end(explanation: dict[str, Any]) -> None:
    history = [{"epoch": at, "loss": None, "validation": 0.5 - at / 10_000} for at in range(437)]
    (curve,) = (
        table for table in explanation_tables({**explanation, "history": history}) if "curve" in str(table.title)
    )
    epochs = [str(cell) for cell in curve.columns[0].cells]
    assert SHOWN_EPOCHS / 2 < len(epochs) <= SHOWN_EPOCHS
    assert epochs[-1] == "437"


def test_without_a_spread_there_is_one_heat_map(explanation: dict[str, Any]) -> None:
    alone = {**explanation, "pairs": {**explanation["pairs"], "spread": None}}
    counts = [render_explanation("T", each).count("Strength of the interaction") for each in (explanation, alone)]
    assert counts == [2, 1]


def squares_of(chart: str) -> dict[str, int]:
    """By colour and opacity how many squares there are."""
    paths = re.findall(r'<path d="([^"]*)"[^>]*style="fill: var\(--(mark|other)\)(?:; opacity: ([0-9.]+))?', chart)
    return {f"{colour} {opacity or 1}": path.count("M ") for path, colour, opacity in paths}


def test_every_pair_has_a_square_whose_colour_is_its_sign_and_whose_shade_its_size() -> None:
    strength = [[None, 0.5, -0.5, 0.2], [0.5, None, 0.2, 1.0], [-0.5, 0.2, None, 0.001], [0.2, 1.0, 0.001, None]]
    found = squares_of(pairs_chart(["a", "b", "c", "d"], strength))
    assert found == {"mark 0.48": 1, "other 0.48": 1, "mark 0.2": 2, "mark 1": 1}


def test_of_very_many_fields_some_are_named() -> None:
    names = [f"name{at}" for at in range(2 * NAMED_FIELDS)]
    strength = [[None if i == j else 1.0 for i in range(len(names))] for j in range(len(names))]
    chart = pairs_chart(names, strength)
    assert (">name0<" in chart, ">name1<" in chart, ">name2<" in chart) == (True, False, True)


def test_rows_with_weights_are_told_with_their_impressions(explanation: dict[str, Any]) -> None:
    weighted = {**explanation, "impressions": 1234567}
    for text in (printed(weighted), render_explanation("t", weighted)):
        assert "1,234,567 impressions" in text
    assert "impressions" not in render_explanation("t", explanation) + printed(explanation)
