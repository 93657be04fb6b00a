"""A chart as an inline SVG element of a page: no date, ids of its own, colours that follow the reader's scheme."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import StringIO
from typing import Any

_COLOURS = {
    "#010101": "var(--ink)",
    "#020202": "var(--quiet)",
    "#030303": "var(--line)",
    "#040404": "var(--mark)",
    "#050505": "var(--other)",
}
INK, QUIET, LINE, MARK, OTHER = _COLOURS
"""Colours to draw with; the page says what they are."""

_STYLE = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": QUIET,
    "xtick.color": LINE,
    "xtick.labelcolor": QUIET,
    "ytick.color": LINE,
    "ytick.labelcolor": QUIET,
}


def svg(name: str, description: str, size: tuple[float, float], draw: Callable[[Any], None]) -> str:
    """Draw a chart; equal drawings give equal text with the same version of matplotlib.

    Args:
        name: Unlike that of every other chart of the page: letters, digits, `-`.
        description: For readers who do not see it.
        size: Width and height in inches. A page of 390 pixels shows 4.4 inches without making the text too small.
        draw: Draws into a matplotlib figure, in the colours of this module.
    """
    from html import escape

    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    text = StringIO()
    with _style(name):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        FigureCanvasSVG(figure).print_svg(text)
    drawn = text.getvalue()
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)  # it holds the date
    drawn = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", drawn)
    drawn = re.sub("|".join(_COLOURS), lambda match: _COLOURS[match[0]], drawn)
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{escape(description)}" ', 1)


def _style(salt: str) -> AbstractContextManager[None]:
    from matplotlib import style

    context: AbstractContextManager[None] = style.context(["default", {**_STYLE, "svg.hashsalt": salt}])
    return context
