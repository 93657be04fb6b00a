"""The pages: one for a day, one for several; each an HTML file that needs nothing else, the same bytes every time."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pnn_gluon.evaluation.shown_value import shown_value
from pnn_gluon.report.charts import (
    drift_chart,
    importance_chart,
    judged_charts,
    learning_chart,
    pairs_chart,
    reliability_chart,
    trend_charts,
)
from pnn_gluon.report.day_document import DayDocument
from pnn_gluon.report.day_report import DayReport, interval_text, metric_formats, metric_text
from pnn_gluon.report.difference import Difference
from pnn_gluon.report.strongest_pairs import strongest_pairs

if TYPE_CHECKING:
    from jinja2 import Environment

_STYLES_OF_WORDS = {"accepted": "accepted", "approved": "accepted", "refused": "refused", "rejected": "refused"}


def render_index(title: str, days: Sequence[DayReport], links: Mapping[str, str] | None = None) -> str:
    """Several days: a table, the way of their numbers, the reliability of the last one.

    Text is escaped; charts are inline SVG that follows the light or dark scheme of the reader; equal arguments give
    equal bytes with the same versions of matplotlib and jinja2.

    Args:
        title: Of the page.
        days: In the order in which they are shown.
        links: By day the address of its own page.
    """
    last = days[-1] if days else None
    formats = metric_formats(any(day.weighted for day in days))
    return _render(
        "index.html.j2",
        title=title,
        days=days,
        links=links,
        formats={name: form for name, form in formats.items() if _told(days, name)},
        trend=_safe(trend_charts(days)),
        judged=_safe(judged_charts(days)),
        reliability=_safe([reliability_chart(last.reliability)])[0] if last and last.reliability else "",
    )


def _told(days: Sequence[DayReport], name: str) -> bool:
    return any(day.summary.get(name) is not None for day in days)


def render_day(
    title: str,
    page: DayDocument,
    index: str = "",
    difference: Difference | None = None,
    seconds: Mapping[str, float] | None = None,
) -> str:
    """One day: see `DayDocument`; escaped, and the same bytes every time, as `render_index` says.

    Args:
        title: Of the page.
        page: What is shown.
        index: The address of the page of several days.
        difference: To another day.
        seconds: How long each step took, by its name.
    """
    report = page.report
    charts = {
        "reliability": reliability_chart(report.reliability, page.reliability_before) if report.reliability else "",
        "learning": learning_chart(page.history),
        "drift": drift_chart(report.checks),
    }
    return _render(
        "day.html.j2",
        title=title,
        page=page,
        index=index,
        difference=difference,
        seconds=seconds,
        worst=[each for each in page.slices if each["found"]],
        trend=_safe(trend_charts(page.trend)),
        judged=_safe(judged_charts(page.trend)),
        **_learned(page.explanation or {}),
        **dict(zip(charts, _safe(list(charts.values())), strict=True)),
    )


def render_explanation(title: str, explanation: Mapping[str, Any]) -> str:
    """What a model has learned, see `pnn_gluon.explaining`; escaped, and the same bytes every time.

    Args:
        title: Of the page.
        explanation: As its JSON has it.
    """
    (learning,) = _safe([learning_chart(explanation["history"])])
    values = {"explanation": explanation, "learning": learning, **_learned(explanation)}
    return _render("explanation.html.j2", title=title, **values)


def _learned(explanation: Mapping[str, Any]) -> dict[str, Any]:
    """The charts of an explanation, and its strongest pairs; empty for none."""
    pairs = explanation.get("pairs")
    charts = {
        "importance": importance_chart(explanation.get("importance") or ()),
        "pairs": pairs_chart(pairs["fields"], pairs["strength"]) if pairs else "",
        "spread": pairs_chart(pairs["fields"], pairs["spread"], "spread") if pairs and pairs["spread"] else "",
    }
    safe = dict(zip(charts, _safe(list(charts.values())), strict=True))
    return {**safe, "strongest": strongest_pairs(pairs)}


def _safe(charts: Sequence[str]) -> list[Any]:
    """Charts as they are: their text was escaped when they were drawn."""
    from markupsafe import Markup

    return [Markup(chart) for chart in charts]


def _render(template: str, **values: Any) -> str:
    return str(_environment().get_template(template).render(styles=_STYLES_OF_WORDS, **values))


@cache
def _environment() -> "Environment":
    """Kept, because it keeps what it compiled; a template takes longer to compile than to render."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = files(__package__)
    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
    )
    environment.filters |= {"metric": metric_text, "interval": interval_text, "shown": shown_value}
    return environment
