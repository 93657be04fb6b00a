"""The page of a day says everything that its document holds, escapes it, and repeats itself byte for byte."""

import dataclasses
import json

import pytest

from pnn_gluon.report.day_document import DayDocument
from pnn_gluon.report.difference import Difference, Row, difference
from pnn_gluon.report.pages import render_day
from tests.report.test_index_page import Page

SAID = (
    "On 2026-11-03 the model of 2026-11-01 was in force: more clicks predicted than came.",
    "500 requests of 2026-11-04 were scored by the model of 2026-11-01 as a fallback.",
    "0.6800 to 0.7200",
    "2026-11-02: 0.7000",
    "PCOC 1.5 is above 1.25",
    "AUC 0.7 is at least 0.5",
    "not judged",
    "too few clicks",
    "after calibration",
    "before calibration",
    "device = phone",
    "1.200 to 1.600",
    "drift of c1: 0.300",
    "c1 (drift)",
    "The darker, the stronger: inner products.",
    "By 900 of 1,200 labelled rows, chosen by a hash.",
    "0.01310 to 0.03000",
    "0.0123",
    "Numbers below zero are in the second colour.",
    "c1, c3",
    "-0.7",
    "0.0321",
    "Pairs of fields over the rows",
    "dense0",
    "0.0456",
    "Gradients of the log loss on 800 of the rows, as of one batch of training.",
    "0.1250",
    "0.0625",
    "4,321",
    "7.25",
    "rejected: label",
    "1,010",
    "abc123",
    "raw/logs/a.tsv 10:ff",
    "skips/2026-11-03 not there",
    'source.preset = "criteo"',
    "gate: a note",
)


@pytest.fixture(scope="module")
def html(document: DayDocument) -> str:
    """The page of the document, drawn once."""
    return render_day("T", document, index="index.html")


@pytest.fixture(scope="module")
def texts(html: str) -> list[str]:
    return Page(html).texts


@pytest.mark.parametrize("expected", SAID)
def test_the_page_says(texts: list[str], expected: str) -> None:
    assert expected in texts


def test_candidate_and_champion_stand_beside_each_other(document: DayDocument, texts: list[str]) -> None:
    assert {"heading": "PCOC", "candidate": "1.200", "champion": "1.000"} in document.compared()
    assert texts[texts.index("Champion") :].index("1.000") > texts[texts.index("Champion") :].index("1.200")


def test_rows_with_weights_are_counted_as_impressions(document: DayDocument, texts: list[str]) -> None:
    weighted = dataclasses.replace(document, report=dataclasses.replace(document.report, weighted=True))
    of_weighted = Page(render_day("T", weighted)).texts
    assert of_weighted.count("Impressions") == 4  # at the top, of bins, and of slices twice
    assert "The model of 2026-11-01 on the impressions of 2026-11-03" in of_weighted
    assert "Impressions" not in texts


def test_only_slices_that_were_found_stand_on_top(texts: list[str]) -> None:
    assert texts.count("device = phone") == 2
    assert texts.count("hour = 03") == 1


def test_long_values_of_slices_are_told_apart_and_whole_on_demand(document: DayDocument) -> None:
    one, other = (f"https://news.example/2026/11/29/{'story' * 5}?page={page}" for page in (1, 2))
    slices = [{**document.slices[1], "by": "url", "value": value} for value in (one, other, '"><script>')]
    html = render_day("T", dataclasses.replace(document, slices=slices))
    texts = Page(html).texts
    assert len({text for text in texts if text.startswith("url = https://news.example")}) == 2
    assert [html.count(f'title="{value}"') for value in (one, other)] == [1, 1]
    assert 'url = "><script>' in texts
    assert html.count("title=") == 2


def test_a_page_of_a_day_with_nothing_says_so(document: DayDocument) -> None:
    bare = DayDocument(
        pipeline="demo",
        report=dataclasses.replace(
            document.report, model_day=None, summary={"rows": 0}, reliability=(), checks=(), gate="", intervals={}
        ),
    )
    page = Page(render_day("T", bare))
    for expected in (
        "No model was in force on 2026-11-03: nothing was measured.",
        "Nothing was decided.",
        "Nothing was found.",
    ):
        assert expected in page.texts


def test_text_is_escaped_everywhere(document: DayDocument) -> None:
    evil = "<script>alert('x')</script>"

    def spoilt(value: object) -> object:
        if isinstance(value, str):
            return evil
        if isinstance(value, list):
            return [spoilt(each) for each in value]
        if isinstance(value, dict):
            return {key: spoilt(each) for key, each in value.items()}
        return value

    told = {name: spoilt(value) for name, value in json.loads(document.to_json()).items()}
    told["lineage"], told["volumes"] = document.lineage, document.volumes
    report = {
        name: value
        for name, value in told.pop("report").items()
        if name in {"gate", "reasons", "notes", "checks", "model_day"}
    }
    told |= {"trend": document.trend, "report": dataclasses.replace(document.report, **report)}
    page = render_day(evil, DayDocument(**told), difference=Difference(evil, [Row(evil, evil, evil)]))
    assert "<script" not in page
    assert Page(page).texts.count(evil) > 20


def test_it_stands_alone_and_its_references_resolve(html: str) -> None:
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    assert [reference for reference in page.references if not reference.startswith("#")] == ["index.html"]
    assert all(reference[1:] in page.ids for reference in page.references if reference.startswith("#"))


def test_the_same_document_is_the_same_page_and_the_same_json(document: DayDocument, html: str) -> None:
    again = dataclasses.replace(document)
    assert render_day("T", again, index="index.html") == html
    assert document.to_json() == again.to_json()
    assert json.loads(document.to_json())["report"]["summary"]["pcoc"] == 1.2


def test_seconds_stand_beside_the_runs_where_they_are_known(document: DayDocument, texts: list[str]) -> None:
    assert "12.3" in Page(render_day("T", document, seconds={"ingest": 12.34})).texts
    assert "Seconds" not in texts


def test_two_days_differ_in_what_is_not_the_same(document: DayDocument) -> None:
    made = dataclasses.replace(document.lineage[0], options={"source.preset": "avazu"}, made_by={"pnn_gluon": "0.4"})
    report = dataclasses.replace(
        document.report, day="2026-11-04", gate="accepted", summary=document.report.summary | {"auc": 0.8}
    )
    found = difference(document, dataclasses.replace(document, report=report, lineage=[made]))
    assert found == Difference(
        "2026-11-03",
        [
            Row("AUC", "0.7000", "0.8000"),
            Row("decision", "refused", "accepted"),
            Row("ingest: source.preset", "criteo", "avazu"),
            Row("ingest: pnn_gluon", "0.3", "0.4"),
        ],
    )
    texts = Page(render_day("T", document, difference=found)).texts
    assert "Against 2026-11-03" in texts
    assert "avazu" in texts
