"""The report holds the numbers, escapes what it is given, stands alone and repeats itself byte for byte."""

import hashlib
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from pnn_gluon.evaluation.metrics import ClickMetrics
from pnn_gluon.evaluation.report import DayReport, render_report

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
    texts = Page(render_report("Daily report", DAYS)).texts
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


def test_reliability_table_is_that_of_the_last_day():
    texts = Page(render_report("Daily report", DAYS)).texts
    assert "Reliability on 2026-11-03" in texts
    for row in DAYS[-1].reliability:
        assert f"{row['mean_probability']:.6f}" in texts


def test_text_is_escaped_everywhere():
    evil = "<script>alert('x')</script>"
    html = render_report(evil, [day(1, model_day=evil, gate=evil, reasons=(evil,)), day(2)])
    assert "<script" not in html
    assert Page(html).texts.count(evil) == 5  # title twice, model day, gate, reason


def test_day_names_are_escaped_in_the_chart():
    summary = day(1).summary
    html = render_report("Days", [DayReport("<b>&", None, summary), DayReport("2026", None, summary)])
    assert "<b>" not in html
    assert Page(html).texts.count("<b>&") >= 2  # table and axis


def test_report_stands_alone_and_its_references_resolve():
    page = Page(render_report("Daily report", DAYS))
    assert len(page.ids) == len(set(page.ids))
    assert page.references
    assert all(reference.removeprefix("#") in page.ids for reference in page.references)


def test_charts_follow_the_colour_scheme_and_are_named():
    html = render_report("Daily report", DAYS)
    assert html.count('<svg role="img" aria-label="') == 2
    assert html.count("var(--mark)") > 2
    charts = html[html.index("<svg") :]
    assert "#ffffff" not in charts
    assert "#0101" not in charts


def test_rendering_again_gives_the_same_bytes_whatever_the_user_style():
    import matplotlib

    first = render_report("Daily report", DAYS)
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "svg.fonttype": "path"}):
        assert render_report("Daily report", DAYS) == first


def test_another_process_gives_the_same_bytes():
    code = (
        "import hashlib; from pnn_gluon.evaluation.report import DayReport, render_report;"
        "days = [DayReport(f'2026-11-0{n}', None, {'auc': 0.7 + n / 100, 'pcoc': 1.0}) for n in (1, 2, 3)];"
        "print(hashlib.sha256(render_report('T', days).encode()).hexdigest())"
    )
    days = [DayReport(f"2026-11-0{n}", None, {"auc": 0.7 + n / 100, "pcoc": 1.0}) for n in (1, 2, 3)]
    here = hashlib.sha256(render_report("T", days).encode()).hexdigest()
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


@pytest.mark.parametrize("days", [[], [DayReport("2026-11-01", None, {"rows": 0, "auc": None})]])
def test_report_without_days_or_numbers_says_so(days):
    texts = Page(render_report("Daily report", days)).texts
    assert ("–" in texts) if days else ("No days" in texts)


def test_bins_without_clicks_leave_an_empty_chart_and_a_full_table():
    metrics = ClickMetrics().update(np.zeros(50), np.full(50, -2.0), np.full(50, 0.12))
    texts = Page(render_report("T", [DayReport("2026-11-01", None, metrics.summary(), metrics.reliability())])).texts
    assert "0.120000" in texts


def test_importing_the_report_does_not_import_what_draws_it():
    code = (
        "import sys, pnn_gluon.evaluation.report, pnn_gluon.evaluation.day_table, pnn_gluon.evaluation.gate,"
        " pnn_gluon.evaluation.calibration;"
        "print([m for m in ('matplotlib', 'jinja2', 'rich', 'scipy', 'sklearn', 'mxnet') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
