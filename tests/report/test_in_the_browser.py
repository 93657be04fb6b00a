"""The pages in a real Chromium: wide, narrow, nothing fetched, nothing wrong, no sideways scroll."""

from pathlib import Path
from typing import Any

import pytest

from pnn_gluon.report.day_document import DayDocument
from pnn_gluon.report.pages import render_day, render_explanation, render_index
from tests.jobs import chromium

pytestmark = pytest.mark.skipif(not chromium.found(), reason="needs Debian's chromium")

LOUD = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Network.requestWillBeSent"}


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", ["day", "index", "explanation"])
def test_a_page_is_read_without_scroll_request_or_error(
    document: DayDocument, tmp_path: Path, name: str, width: int
) -> None:
    many = [*document.trend, document.report]
    assert document.explanation is not None
    learned = {**document.explanation, "history": document.history}
    pages = {
        "day": render_day("T", document, index="index.html"),
        "index": render_index("T", many),
        "explanation": render_explanation("T", learned),
    }
    path = tmp_path / f"{name}.html"
    path.write_text(pages[name], encoding="utf-8")
    heard: list[dict[str, Any]] = []
    with chromium.tab(heard.append) as tab:
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        tab.open(path.as_uri())
        tab.wait_for("document.readyState === 'complete' && !!document.querySelector('h1')")
        assert tab.run("document.documentElement.scrollWidth <= window.innerWidth")
        assert tab.run("document.querySelectorAll('script').length") == 0
        heights = tab.run("[...document.querySelectorAll('svg text')].map(each => each.getBoundingClientRect().height)")
        assert min(heights) >= 8
        tab.picture(f"report-{name}-{width}")
    loud = [each for each in heard if each["method"] in LOUD]
    assert [each["params"]["request"]["url"] for each in loud] == [path.as_uri()]
