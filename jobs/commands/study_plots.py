"""Curves of the studies as PNG files."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle
from typing import Any

_DPI = 90
_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "legend.frameon": False,
}
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")  # Okabe and Ito's, told apart by all eyes
_MARKERS = "os^Dv"
_QUIET_DASHES = ("--", ":", "-.")


@dataclass(frozen=True)
class Line:
    """A curve with its name in the legend; a quiet one, for comparison, is grey and dashed."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    quiet: bool = False


@dataclass(frozen=True)
class Panel:
    """One pair of axes and its curves; the legend lists them in their order."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]


def draw_png(panels: Sequence[Panel]) -> bytes:
    """Panels side by side with one y scale; equal arguments give equal bytes with the same version of matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    image = BytesIO()
    with _chart_style():
        figure = Figure(figsize=(5.6 * len(panels), 4.5), dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)
        for axes, panel in zip(grid[0], panels, strict=True):
            _draw(axes, panel)
        figure.savefig(image, format="png", metadata={"Software": None})
    return image.getvalue()


def _draw(axes: Any, panel: Panel) -> None:
    looks = cycle(zip(_COLOURS, _MARKERS, strict=True))
    dashes = cycle(_QUIET_DASHES)
    for line in panel.lines:
        if line.quiet:
            axes.plot(line.x, line.y, label=line.name, color="#666666", linestyle=next(dashes))
        else:
            colour, marker = next(looks)
            axes.plot(line.x, line.y, label=line.name, color=colour, marker=marker)
    axes.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
    axes.set_xlim(left=0)
    axes.tick_params(labelleft=True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)


def _chart_style() -> AbstractContextManager[None]:
    from matplotlib import style

    context: AbstractContextManager[None] = style.context(["default", _STYLE])
    return context
