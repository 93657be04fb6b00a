"""The days of a report as a table for the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pnn_gluon.evaluation.report import METRIC_FORMATS, DayReport, metric_text

if TYPE_CHECKING:
    from rich.table import Table

_GATE_STYLES = {"accepted": "green", "approved": "green", "refused": "red", "rejected": "red"}


def render_day_table(days: Sequence[DayReport]) -> "Table":
    """Day, model day, the numbers of `METRIC_FORMATS`, the gate's word, reasons, notes, checks; no text is markup."""
    from rich.table import Table
    from rich.text import Text

    table = Table()
    table.add_column("Day", no_wrap=True)
    table.add_column("Model of", no_wrap=True)
    for heading, _ in METRIC_FORMATS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Gate")
    for day in days:
        numbers = [metric_text(day.summary.get(name), form) for name, (_, form) in METRIC_FORMATS.items()]
        word = Text(day.gate or "–", style=_GATE_STYLES.get(day.gate, ""))
        checks = [f"check: {finding['words']}" for finding in day.checks]
        gate = Text("\n").join([word, *map(Text, (*day.reasons, *day.notes, *checks))])
        table.add_row(Text(day.day), Text(day.model_day or "–"), *numbers, gate)
    return table
