"""The days of a report as a table for the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pnn_gluon.report.day_report import DayReport, metric_formats, metric_text

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_GATE_STYLES = {"accepted": "green", "approved": "green", "refused": "red", "rejected": "red"}


def render_day_table(days: Sequence[DayReport]) -> "Table":
    """Day, model day, the numbers of `metric_formats`, the gate's word, reasons, notes, checks; no text is markup.

    Below a number stand the bounds of its interval, where it has one.
    """
    from rich.table import Table
    from rich.text import Text

    caption = "Below a number: its 95 % interval." if any(day.intervals for day in days) else None
    table = Table(caption=caption, caption_justify="left")
    table.add_column("Day", no_wrap=True)
    table.add_column("Model of", no_wrap=True)
    formats = metric_formats(any(day.weighted for day in days))
    for heading, _ in formats.values():
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Gate")
    for day in days:
        numbers = [_number(day, name, form) for name, (_, form) in formats.items()]
        word = Text(day.gate or "–", style=_GATE_STYLES.get(day.gate, ""))
        checks = [f"check: {finding['words']}" for finding in day.checks]
        gate = Text("\n").join([word, *map(Text, (*day.reasons, *day.notes, *checks))])
        table.add_row(Text(day.day), Text(day.model_day or "–"), *numbers, gate)
    return table


def _number(day: DayReport, name: str, form: str) -> "Text":
    from rich.text import Text

    style = "red" if name in day.remarks() else ""
    number, bounds = Text(metric_text(day.summary.get(name), form), style=style), day.intervals.get(name)
    lines = [] if bounds is None else [metric_text(bounds[side], form) for side in ("low", "high")]
    return Text("\n").join([number, *(Text(line, style="dim") for line in lines)])
