"""What is told of a day in a row of a table: the numbers of the model that was in force, and what was decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
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


def metric_formats(weighted: bool) -> Mapping[str, tuple[str, str]]:
    """`METRIC_FORMATS` by the headings of a day, or of days; rows that have weights are counted by their impressions.

    >>> metric_formats(True)["new_rows"]
    ('New impressions', ',d')
    """
    counted = {"rows": "Impressions", "new_rows": "New impressions"} if weighted else {}
    return {name: (counted.get(name, heading), form) for name, (heading, form) in METRIC_FORMATS.items()}


COMPARED = ("served_auc", "log_loss", "normalized_entropy", "pcoc", "ece")
"""The numbers of candidate and champion that stand beside each other, on the rows of the gate."""

EN_DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class DayReport:
    """One day: the day, the day of the model that was in force, its numbers, the gate's word about the candidate.

    The summary is that of `ClickMetrics`, with new_rows and new_pcoc: rows with values that the model had not seen.
    `intervals` has the 95 % bounds, low and high, of its numbers by name. `judged` has the numbers of the candidate and
    of the champion, by these words, on the gate's rows, as far as there are such. With `weighted` rows are counted by
    their impressions.
    """

    day: str
    model_day: str | None
    summary: Mapping[str, float | int | None]
    reliability: Sequence[Mapping[str, float]] = ()  # ClickMetrics.reliability
    gate: str = ""  # accepted, refused, approved, rejected, or any other word; empty when nothing was decided
    reasons: Sequence[str] = ()
    notes: Sequence[str] = ()  # what was done or left out, and warnings
    checks: Sequence[Mapping[str, Any]] = ()  # findings about the day's data, the worst first
    intervals: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    judged: Mapping[str, Mapping[str, float | int | None]] = field(default_factory=dict)
    weighted: bool = False

    def remarks(self) -> dict[str, str]:
        """What is wrong with its numbers, by their names."""
        return {name: words for name, words in self._remarks() if words}

    def _remarks(self) -> "Sequence[tuple[str, str]]":
        entropy, pcoc = self.summary.get("normalized_entropy"), self.summary.get("pcoc")
        return (
            ("normalized_entropy", _worse_than_constant(entropy, self.intervals.get("normalized_entropy"))),
            ("pcoc", _off(pcoc, self.intervals.get("pcoc"))),
        )


def _worse_than_constant(entropy: float | None, bounds: Mapping[str, float] | None) -> str:
    if entropy is None:
        return ""
    if entropy >= 1:
        return "worse than a constant click rate"
    return "may be no better than a constant click rate" if bounds and bounds["high"] >= 1 else ""


def _off(pcoc: float | None, bounds: Mapping[str, float] | None) -> str:
    if pcoc is None or bounds is None or bounds["low"] <= 1 <= bounds["high"]:
        return ""
    return "more clicks predicted than came" if pcoc > 1 else "fewer clicks predicted than came"


def metric_text(value: float | int | None, form: str) -> str:
    """The number in its format; an en dash for one that is not defined."""
    return EN_DASH if value is None or not isfinite(value) else format(value, form)


def interval_text(bounds: Mapping[str, float] | None, form: str) -> str:
    """The bounds in the number's format; empty where there are none."""
    if bounds is None:
        return ""
    return f"{metric_text(bounds['low'], form)} to {metric_text(bounds['high'], form)}"
