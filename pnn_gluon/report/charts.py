"""The charts of the pages; each answers an SVG element, or nothing where there is nothing to draw."""

from collections.abc import Mapping, Sequence
from math import nan, sqrt
from typing import Any

from pnn_gluon.report.day_report import METRIC_FORMATS, DayReport
from pnn_gluon.report.svg import INK, LINE, MARK, OTHER, QUIET, svg

WIDTH = 4.4
"""Of a chart, in inches."""
TREND = {"auc": 0.5, "normalized_entropy": 1.0, "pcoc": 1.0}
"""The numbers whose way over the days is drawn, and what each is for a constant click rate, or as it should be."""
JUDGED = {"served_auc": None, "normalized_entropy": 1.0, "pcoc": 1.0}
"""The numbers of candidate and champion whose way is drawn, and where a dashed line stands."""
SHADES = 25
"""Of a colour, from nothing to the strongest."""
NAMED_FIELDS = 45
"""On an axis of pairs; of more fields, some at equal distances."""
SHOWN_CHARACTERS = 18
"""Of a field's name, on an axis."""

Matrix = Sequence[Sequence[float | None]]


def trend_charts(days: Sequence[DayReport]) -> list[str]:
    """One chart for each of `TREND`, with the 95 % intervals; none for a single day."""
    return [_trend(days, name) for name in TREND] if len(days) > 1 else []


def _trend(days: Sequence[DayReport], name: str) -> str:
    heading = METRIC_FORMATS[name][0]
    values = [_or_nan(day.summary.get(name)) for day in days]
    bounds = [(at, found) for at, day in enumerate(days) if (found := day.intervals.get(name))]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.vlines(
            [at for at, _ in bounds], [b["low"] for _, b in bounds], [b["high"] for _, b in bounds], color=MARK, lw=1
        )
        axes.plot(range(len(days)), values, "o-", color=MARK, markersize=4)
        if name != "auc":  # an AUC is far from that of a constant, which would flatten the line
            axes.axhline(TREND[name], color=QUIET, linestyle="--", linewidth=1)
        _along_days(axes, days, heading)

    return svg(f"trend-{name.replace('_', '-')}", f"{heading} by day", (WIDTH, 2.3), draw)


def judged_charts(days: Sequence[DayReport]) -> list[str]:
    """One chart for each of `JUDGED`, candidate beside champion; none where less than two candidates were judged."""
    return [_judged(days, name) for name in JUDGED] if sum(bool(day.judged) for day in days) > 1 else []


def _judged(days: Sequence[DayReport], name: str) -> str:
    heading, level = METRIC_FORMATS[name][0], JUDGED[name]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for side, colour in (("champion", OTHER), ("candidate", MARK)):
            values = [_or_nan(day.judged.get(side, {}).get(name)) for day in days]
            axes.plot(range(len(days)), values, "o-", color=colour, markersize=4, label=side)
        if level is not None:
            axes.axhline(level, color=QUIET, linestyle="--", linewidth=1)
        _along_days(axes, days, heading)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)  # above, where no line is

    description = f"{heading} of candidate and champion by day"
    return svg(f"judged-{name.replace('_', '-')}", description, (WIDTH, 2.5), draw)


def _along_days(axes: Any, days: Sequence[DayReport], heading: str) -> None:
    """Name the axes, with some of the days below."""
    axes.set_ylabel(heading)
    axes.locator_params(axis="y", nbins=5)
    step = -(-len(days) // 4)
    shown = range(len(days))[::-step]
    axes.set_xticks(list(shown), [days[at].day for at in shown])
    axes.set_xlim(-0.5, len(days) - 0.5)


def reliability_chart(after: Sequence[Mapping[str, float]], before: Sequence[Mapping[str, float]] = ()) -> str:
    """Click rate against mean prediction, with Wilson's 95 % intervals; log scales, so only bins with clicks.

    Args:
        after: The reliability table of what was served.
        before: That of the model before calibration, where it is known.
    """
    series = [(MARK, "after calibration", _with_clicks(after))]
    if before:
        series.insert(0, (OTHER, "before calibration", _with_clicks(before)))

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.set(xscale="log", yscale="log", xlabel="Mean predicted probability", ylabel="Observed click rate")
        rates = [rate for _, _, rows in series for row in rows for rate in (row["mean_probability"], row["ctr"])]
        if not rates:
            return
        low = min(rates) / 2
        axes.plot([low, 1], [low, 1], color=QUIET, linestyle="--", linewidth=1)
        for colour, label, rows in series:
            predicted = [row["mean_probability"] for row in rows]
            bounds = [_wilson(row["ctr"], row["rows"]) for row in rows]
            axes.vlines(predicted, [b[0] for b in bounds], [b[1] for b in bounds], color=colour, linewidth=1)
            axes.plot(predicted, [row["ctr"] for row in rows], "o", color=colour, markersize=4, label=label)
        axes.set(xlim=(low, 1), ylim=(low, 1))
        if before:
            axes.legend(loc="upper left")

    return svg("reliability", "Observed click rate against predicted probability", (WIDTH, 3.6), draw)


def _with_clicks(table: Sequence[Mapping[str, float]]) -> list[Mapping[str, float]]:
    return [row for row in table if row["ctr"] > 0]


def _wilson(rate: float, rows: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (1927)."""
    z = 1.96
    centre, spread = rate + z * z / (2 * rows), z * sqrt(rate * (1 - rate) / rows + z * z / (4 * rows * rows))
    return (centre - spread) / (1 + z * z / rows), (centre + spread) / (1 + z * z / rows)


def pairs_chart(fields: Sequence[str], strength: Matrix, name: str = "pairs") -> str:
    """How strongly pairs of fields interact: the darker, the stronger; each pair once, below the diagonal.

    Numbers below zero have a colour of their own; `name` is that of the chart on its page.
    """
    strongest = max((abs(value) for row in strength for value in row if value is not None), default=0.0)
    if not strongest:
        return ""

    def draw(figure: Any) -> None:
        axes, names = figure.subplots(), [_short(name) for name in fields]
        axes.grid(False)
        for shade, cells in _by_shade(strength, strongest).items():
            axes.add_patch(_squares(cells, shade))
        size, named = max(6.5, min(9.0, 270 / len(fields))), range(0, len(fields), -(-len(fields) // NAMED_FIELDS))
        axes.set_xticks(named, [names[at] for at in named], rotation=90, fontsize=size)
        axes.set_yticks(named, [names[at] for at in named], fontsize=size)
        axes.set(xlim=(-0.5, len(fields) - 0.5), ylim=(len(fields) - 0.5, -0.5), aspect="equal")

    return svg(name, "Strength of the interaction of each pair of fields", (WIDTH, 4.4), draw)


def _by_shade(strength: Matrix, strongest: float) -> dict[int, list[tuple[int, int]]]:
    """The columns and rows of the pairs of each shade, from -SHADES to SHADES; those of shade 0 are not seen."""
    cells: dict[int, list[tuple[int, int]]] = {}
    for row, values in enumerate(strength):
        for column, value in enumerate(values[:row]):
            shade = 0 if value is None else round(SHADES * value / strongest)
            if shade:
                cells.setdefault(shade, []).append((column, row))
    return cells


def _squares(cells: Sequence[tuple[int, int]], shade: int) -> Any:
    """Squares of one shade as one path, which is a third of the text of a path for each."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    corners = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5))
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    path = Path([(x + dx, y + dy) for x, y in cells for dx, dy in corners], codes * len(cells))
    colour = OTHER if shade < 0 else MARK
    return PathPatch(path, facecolor=colour, alpha=abs(shade) / SHADES, edgecolor="none")


def importance_chart(importance: Sequence[Mapping[str, Any]]) -> str:
    """By how much the log loss rises without the values of each field, with intervals; the most important on top."""
    if not importance:
        return ""
    shown = importance[:25]

    def draw(figure: Any) -> None:
        axes, where = figure.subplots(), range(len(shown))
        lows, highs = ([_or_nan(each[key]) for each in shown] for key in ("low", "high"))
        axes.hlines(where, lows, highs, color=MARK, linewidth=1.5)
        axes.plot([each["log_loss"] for each in shown], where, "o", color=MARK, markersize=4)
        axes.axvline(0, color=QUIET, linestyle="--", linewidth=1)
        axes.set_yticks(where, [_short(str(each["field"])) for each in shown], fontsize=8)
        axes.set(xlabel="Rise of the log loss", ylim=(len(shown) - 0.4, -0.6))
        axes.locator_params(axis="x", nbins=5)

    return svg("importance", "Importance of the fields", (WIDTH, 1.0 + 0.17 * len(shown)), draw)


def learning_chart(history: Sequence[Mapping[str, Any]]) -> str:
    """The loss while training, and on the rows of validation where there are such, epoch by epoch or tree by tree."""
    if len(history) < 2:
        return ""
    series = {"training": (OTHER, "loss"), "validation": (MARK, "validation")}

    def draw(figure: Any) -> None:
        axes, epochs = figure.subplots(), [record["epoch"] + 1 for record in history]
        for label, (colour, key) in series.items():
            values = [_or_nan(record.get(key)) for record in history]
            if any(value == value for value in values):
                axes.plot(epochs, values, "o-", color=colour, markersize=4, label=label)
        axes.set(xlabel="Epoch, or tree", ylabel="Log loss")
        axes.locator_params(axis="x", integer=True, nbins=8)
        axes.legend()

    return svg("learning", "Log loss by epoch", (WIDTH, 2.6), draw)


def drift_chart(findings: Sequence[Mapping[str, Any]]) -> str:
    """How far the fields that drifted are above their limit, each number in units of its own limit."""
    drifted = [each for each in findings if each["check"] in {"drift", "skew"} and each["limit"]][:15]
    if not drifted:
        return ""

    def draw(figure: Any) -> None:
        axes, where = figure.subplots(), range(len(drifted))
        axes.barh(where, [each["value"] / each["limit"] for each in drifted], color=MARK, height=0.6)
        axes.axvline(1, color=INK, linestyle="--", linewidth=1)
        axes.set_yticks(where, [f"{_short(str(each['field']))} ({each['check']})" for each in drifted], fontsize=8)
        axes.set(xlabel="Times its limit", ylim=(len(drifted) - 0.4, -0.6))
        axes.grid(axis="y", color=LINE, linewidth=0)

    return svg("drift", "Fields that drifted", (WIDTH, 1.0 + 0.2 * len(drifted)), draw)


def _short(name: str) -> str:
    return name if len(name) <= SHOWN_CHARACTERS else f"{name[: SHOWN_CHARACTERS - 1]}…"


def _or_nan(value: float | None) -> float:
    return nan if value is None else value
