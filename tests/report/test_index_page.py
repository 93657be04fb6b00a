"""The report holds the numbers, escapes what it is given, stands alone and repeats itself byte for byte."""

import hashlib
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from pnn_gluon.evaluation.metrics import ClickMetrics
from pnn_gluon.report.day_report import DayReport
from pnn_gluon.report.pages import render_index

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Checks that tags nest; collects text, ids and references."""

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.references, self.texts = [], [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in {"href", "xlink:href", "src"}:
                self.references.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())


def day(number, **changes):
    rng = np.random.default_rng(number)
    logit = rng.normal(-2, 1, 3000)
    p = 1 / (1 + np.exp(-logit))
    metrics = ClickMetrics().update(rng.random(3000) < p, logit, p)
    values = {"model_day": f"2026-10-{number:02d}", "gate": "accepted", "reasons": (), **changes}
    return DayReport(f"2026-11-{number:02d}", summary=metrics.summary(), reliability=metrics.reliability(), **values)


DAYS = [day(1, model_day=None), day(2), day(3, gate="refused", reasons=("pcoc: 1.5, limit 0.8 to 1.25; all rows",))]


def test_report_holds_days_numbers_and_the_gate():
    texts = Page(render_index("Daily report", DAYS)).texts
    for report in DAYS:
        summary = report.summary
        for expected in (
            report.day,
            f"{summary['positives']:,d}",
            f"{summary['auc']:.4f}",
            f"{summary['log_loss']:.5f}",
            f"{summary['normalized_entropy']:.4f}",
            f"{summary['pcoc']:.3f}",
            f"{summary['ece']:.5f}",
            report.gate,
        ):
            assert expected in texts
    assert "pcoc: 1.5, limit 0.8 to 1.25; all rows" in texts
    assert "2026-10-02" in texts


def test_the_reliability_is_that_of_the_last_day():
    texts = Page(render_index("Daily report", DAYS)).texts
    assert "Reliability on 2026-11-03" in texts


def test_text_is_escaped_everywhere():
    evil = "<script>alert('x')</script>"
    html = render_index(evil, [day(1, model_day=evil, gate=evil, reasons=(evil,)), day(2)])
    assert "<script" not in html
    assert Page(html).texts.count(evil) == 5  # title twice, model day, gate, reason


def test_day_names_are_escaped_in_the_chart():
    summary = day(1).summary
    html = render_index("Days", [DayReport("<b>&", None, summary), DayReport("2026", None, summary)])
    assert "<b>" not in html
    assert Page(html).texts.count("<b>&") >= 2  # table and axis


def test_report_stands_alone_and_its_references_resolve():
    page = Page(render_index("Daily report", DAYS))
    assert len(page.ids) == len(set(page.ids))
    assert page.references
    assert all(reference.removeprefix("#") in page.ids for reference in page.references)


def test_charts_follow_the_colour_scheme_and_are_named():
    html = render_index("Daily report", DAYS)
    assert html.count('<svg role="img" aria-label="') == 4
    assert html.count("var(--mark)") > 2
    charts = html[html.index("<svg") :]
    assert "#ffffff" not in charts
    assert "#0101" not in charts


def judged(number, candidate, champion):
    sides = {"candidate": candidate, "champion": champion}
    return day(number, judged={side: {"served_auc": auc} for side, auc in sides.items() if auc is not None})


def test_candidate_and_champion_are_drawn_by_day_with_a_gap_where_there_was_none():
    days = [judged(1, 0.7, None), judged(2, 0.71, 0.7), judged(3, None, None), judged(4, 0.6, 0.71)]
    page = Page(render_index("T", days))
    assert "Candidate and champion by day" in page.texts
    assert page.texts.count("candidate") == page.texts.count("champion") == 3  # the legends of three charts
    first = render_index("T", days)
    for changed in (judged(4, 0.61, 0.71), judged(4, 0.6, 0.72), judged(4, 0.6, None)):
        other = render_index("T", [*days[:3], changed])
        assert [a == b for a, b in zip(charts(first), charts(other), strict=True)] == [
            *[True] * 3,
            False,
            *[True] * 2,
        ]


def charts(html):
    """The drawings of a page, in their order, without that of the reliability."""
    return [part.split("</svg>")[0] for part in html.split("<svg ")[1:]][:6]


def test_one_judged_candidate_makes_no_trend():
    assert "Candidate and champion by day" not in render_index("T", [judged(1, 0.7, None), day(2)])


def test_rendering_again_gives_the_same_bytes_whatever_the_user_style():
    import matplotlib

    first = render_index("Daily report", DAYS)
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "svg.fonttype": "path"}):
        assert render_index("Daily report", DAYS) == first


def test_another_process_gives_the_same_bytes():
    code = (
        "import hashlib; from pnn_gluon.report.pages import DayReport, render_index;"
        "days = [DayReport(f'2026-11-0{n}', None, {'auc': 0.7 + n / 100, 'pcoc': 1.0}) for n in (1, 2, 3)];"
        "print(hashlib.sha256(render_index('T', days).encode()).hexdigest())"
    )
    days = [DayReport(f"2026-11-0{n}", None, {"auc": 0.7 + n / 100, "pcoc": 1.0}) for n in (1, 2, 3)]
    here = hashlib.sha256(render_index("T", days).encode()).hexdigest()
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


@pytest.mark.parametrize("days", [[], [DayReport("2026-11-01", None, {"rows": 0, "auc": None})]])
def test_report_without_days_or_numbers_says_so(days):
    texts = Page(render_index("Daily report", days)).texts
    assert ("–" in texts) if days else ("No days" in texts)


def test_each_day_links_to_its_page_where_it_has_one():
    links = {report.day: f"{report.day}.html" for report in DAYS}
    assert sorted(links.values()) == sorted(
        reference for reference in Page(render_index("T", DAYS, links)).references if not reference.startswith("#")
    )


def test_a_number_that_is_worse_than_a_constant_or_off_is_marked_and_its_interval_shown():
    bounds = {"normalized_entropy": {"low": 1.01, "high": 1.05}, "pcoc": {"low": 0.7, "high": 0.9}}
    wrong = DayReport("2026-11-01", None, {"normalized_entropy": 1.03, "pcoc": 0.8}, intervals=bounds)
    texts = Page(render_index("T", [wrong])).texts
    for expected in ("1.0100 to 1.0500", "worse than a constant click rate", "fewer clicks predicted than came"):
        assert expected in texts
    right = DayReport(
        "2026-11-01", None, {"normalized_entropy": 0.9, "pcoc": 0.8}, intervals={"pcoc": {"low": 0.7, "high": 1.1}}
    )
    assert right.remarks() == {}


def test_importing_the_report_does_not_import_what_draws_it():
    code = (
        "import sys, pnn_gluon.report.pages, pnn_gluon.report.day_table, pnn_gluon.evaluation.gate,"
        " pnn_gluon.evaluation.calibration;"
        "print([m for m in ('matplotlib', 'jinja2', 'rich', 'scipy', 'sklearn', 'mxnet') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
