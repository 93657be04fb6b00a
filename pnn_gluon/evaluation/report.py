"""The daily report: one HTML file that needs nothing else, and equals itself byte for byte when made again."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.resources import files
from io import StringIO
from math import isfinite, nan, sqrt
from typing import Any

METRIC_FORMATS: Mapping[str, tuple[str, str]] = {
    "rows": ("Rows", ",d"),
    "positives": ("Positives", ",d"),
    "auc": ("AUC", ".4f"),
    "served_auc": ("Served AUC", ".4f"),
    "log_loss": ("Log loss", ".5f"),
    "normalized_entropy": ("NE", ".4f"),
    "pcoc": ("PCOC", ".3f"),
    "matured_pcoc": ("PCOC, labels matured", ".3f"),
    "ece": ("ECE", ".5f"),
    "new_rows": ("New rows", ",d"),
    "new_pcoc": ("New PCOC", ".3f"),
}
"""Columns of a day: key of the summary, heading and number format."""

_STYLES_OF_WORDS = {"accepted": "accepted", "approved": "accepted", "refused": "refused", "rejected": "refused"}
_CHART_COLOURS = {
    "#010101": "var(--ink)",
    "#020202": "var(--quiet)",
    "#030303": "var(--line)",
    "#040404": "var(--mark)",
}
_INK, _QUIET, _LINE, _MARK = _CHART_COLOURS
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.labelcolor": _INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _LINE,
    "xtick.labelcolor": _QUIET,
    "ytick.color": _LINE,
    "ytick.labelcolor": _QUIET,
}


@dataclass(frozen=True)
class DayReport:
    """One day of the report: the day, the day of the model that was in force, its numbers, the gate's word.

    The summary is that of `ClickMetrics`, with new_rows and new_pcoc: rows with values that the model had not seen.
    """

    day: str
    model_day: str | None
    summary: Mapping[str, float | int | None]
    reliability: Sequence[Mapping[str, float]] = field(default_factory=tuple)  # ClickMetrics.reliability
    gate: str = ""  # accepted, refused, approved, rejected, or any other word; empty when nothing was decided
    reasons: Sequence[str] = ()
    notes: Sequence[str] = ()  # what was done or left out, and warnings
    checks: Sequence[Mapping[str, Any]] = ()  # findings about the day's data, the worst first


def metric_text(value: float | int | None, form: str) -> str:
    """The number in its format; an en dash for one that is not defined."""
    return "–" if value is None or not isfinite(value) else format(value, form)


def render_report(title: str, days: Sequence[DayReport]) -> str:
    """One self-contained HTML page: a table of the days, their AUC, NE and PCOC as lines, the last day's reliability.

    Days appear in the order given. Text is escaped; charts are inline SVG that follows the light or dark scheme of
    the reader; equal arguments give equal bytes with the same versions of matplotlib and jinja2.
    """
    from jinja2 import Environment
    from markupsafe import Markup

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["metric"] = metric_text
    template = environment.from_string(files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8"))
    last = days[-1] if days else None
    return template.render(
        title=title,
        days=days,
        last=last,
        formats=METRIC_FORMATS,
        styles=_STYLES_OF_WORDS,
        trend=Markup(_trend_chart(days)) if len(days) > 1 else "",
        reliability=Markup(_reliability_chart(last.reliability)) if last and last.reliability else "",
    )


def _trend_chart(days: Sequence[DayReport]) -> str:
    def draw(figure: Any) -> None:
        panels = figure.subplots(3, 1, sharex=True)
        for axes, name in zip(panels, ("auc", "normalized_entropy", "pcoc"), strict=True):
            values = [day.summary.get(name) for day in days]
            axes.plot(range(len(days)), [nan if v is None else v for v in values], "o-", color=_MARK, markersize=4)
            axes.set_ylabel(METRIC_FORMATS[name][0])
            axes.locator_params(axis="y", nbins=4)
        panels[2].axhline(1, color=_QUIET, linestyle="--", linewidth=1)
        shown = range(0, len(days), -(-len(days) // 8))
        panels[2].set_xticks(list(shown), [days[n].day for n in shown])
        panels[2].set_xlim(-0.5, len(days) - 0.5)

    return _svg("trend", "AUC, normalized entropy (NE) and PCOC by day", (10.7, 5.4), draw)


def _reliability_chart(table: Sequence[Mapping[str, float]]) -> str:
    """Click rate against mean prediction, with Wilson's 95 % interval; log scales, so only bins with clicks."""
    points = [(row["mean_probability"], row["ctr"], row["rows"]) for row in table if row["ctr"] > 0]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.set(xscale="log", yscale="log", xlabel="Mean predicted probability", ylabel="Observed click rate")
        if not points:
            return
        low = min(min(p, y) for p, y, _ in points) / 2
        axes.plot([low, 1], [low, 1], color=_QUIET, linestyle="--", linewidth=1)
        predicted, observed = [p for p, _, _ in points], [y for _, y, _ in points]
        bounds = [_wilson(y, n) for _, y, n in points]
        axes.vlines(predicted, [b[0] for b in bounds], [b[1] for b in bounds], color=_MARK, linewidth=1)
        axes.plot(predicted, observed, "o", color=_MARK, markersize=4)
        axes.set(xlim=(low, 1), ylim=(low, 1))

    return _svg("reliability", "Observed click rate against predicted probability", (6.4, 5.0), draw)


def _wilson(rate: float, rows: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (1927)."""
    z = 1.96
    centre, spread = rate + z * z / (2 * rows), z * sqrt(rate * (1 - rate) / rows + z * z / (4 * rows * rows))
    return (centre - spread) / (1 + z * z / rows), (centre + spread) / (1 + z * z / rows)


def _svg(name: str, description: str, size: tuple[float, float], draw: Callable[[Any], None]) -> str:
    """A chart as an inline SVG element: no date, ids of its own, colours by CSS variables."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    text = StringIO()
    with _chart_style(name):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        FigureCanvasSVG(figure).print_svg(text)
    svg = text.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)  # it holds the date
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub("|".join(_CHART_COLOURS), lambda match: _CHART_COLOURS[match[0]], svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{description}" ', 1)


def _chart_style(salt: str) -> AbstractContextManager[None]:
    from matplotlib import style

    context: AbstractContextManager[None] = style.context(["default", {**_STYLE, "svg.hashsalt": salt}])
    return context
