"""Everything that the page of a day shows, as plain values: `report.json` is this, and the page says nothing else."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pnn_gluon.report.day_report import COMPARED, METRIC_FORMATS, DayReport, interval_text, metric_formats, metric_text

HEADLINE = ("auc", "normalized_entropy", "log_loss", "pcoc", "ece", "rows", "positives")
"""The numbers that stand at the top of a page."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lineage:
    """What a step made of the day, and from what."""

    step: str
    table: str
    run: str
    rows: int
    made_by: Mapping[str, str]
    options: Mapping[str, Any]
    inputs: Mapping[str, str | None]
    kept: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Volume:
    """How many lines, rows or impressions a step had, and of what."""

    step: str
    what: str
    rows: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class DayDocument:
    """One day of a pipeline.

    Attributes:
        pipeline: Its name.
        report: The model that was in force during the day, on the day's rows; and the gate's word.
        trend: The days before and this one, oldest first, as far as they were evaluated.
        reliability_before: The reliability table before calibration, where it is known.
        brier_parts: What the Brier score consists of.
        auc_by: The AUC within the values of fields.
        slices: The day's slices, see `pnn_gluon.evaluation.slices`.
        candidate_day: The day of the candidate that the gate judged; None where there was none.
        rules: The gate's rules one by one, see `pnn_gluon.report.decision`.
        measures: What else the gate looked at.
        history: The epochs, or trees, of the candidate's training.
        explanation: See `pnn_gluon.explaining`; None where there is none, with `unexplained` for why.
        fields: What the rows hold in each field: `field`, shares that are `missing` or `other`, how many values are
            `distinct`, `least`, `greatest` and `mean` of numbers, as far as these are known.
        volumes: How many rows each step had.
        rejects: Lines that were set aside, by reason.
        scores: What went out: score_day, model_day, state, rows, rejects; None where nothing did.
        lineage: What each step made and from what.
    """

    pipeline: str
    report: DayReport
    trend: Sequence[DayReport] = ()
    reliability_before: Sequence[Mapping[str, float]] = ()
    brier_parts: Mapping[str, float] = dataclasses.field(default_factory=dict)
    auc_by: Mapping[str, Mapping[str, float | None]] = dataclasses.field(default_factory=dict)
    slices: Sequence[Mapping[str, Any]] = ()
    candidate_day: str | None = None
    rules: Sequence[Mapping[str, Any]] = ()
    measures: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    explanation: Mapping[str, Any] | None = None
    unexplained: str = ""
    fields: Sequence[Mapping[str, Any]] = ()
    volumes: Sequence[Volume] = ()
    rejects: Mapping[str, int] = dataclasses.field(default_factory=dict)
    scores: Mapping[str, Any] | None = None
    lineage: Sequence[Lineage] = ()

    def to_json(self) -> bytes:
        """Strict JSON; the same document is the same bytes."""
        return (json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True, allow_nan=False) + "\n").encode()

    @property
    def before(self) -> DayReport | None:
        """The evaluated day before this one."""
        earlier = [day for day in self.trend if day.day < self.report.day]
        return earlier[-1] if earlier else None

    def headline(self) -> list[dict[str, str]]:
        """The numbers at the top, in words: heading, value, interval, the day before, and what is wrong with it."""
        remarks, before, formats = self.report.remarks(), self.before, metric_formats(self.report.weighted)
        return [
            {
                "heading": heading,
                "value": metric_text(self.report.summary.get(name), form),
                "interval": interval_text(self.report.intervals.get(name), form),
                "before": "" if before is None else metric_text(before.summary.get(name), form),
                "remark": remarks.get(name, ""),
            }
            for name, (heading, form) in ((name, formats[name]) for name in HEADLINE)
        ]

    def compared(self) -> list[dict[str, str]]:
        """Candidate and champion beside each other; empty where the gate judged nothing."""
        sides = [self.report.judged.get(side, {}) for side in ("candidate", "champion")]
        if not any(sides):
            return []
        return [
            {
                "heading": METRIC_FORMATS[name][0],
                "candidate": metric_text(sides[0].get(name), METRIC_FORMATS[name][1]),
                "champion": metric_text(sides[1].get(name), METRIC_FORMATS[name][1]),
            }
            for name in COMPARED
        ]

    def verdict(self) -> list[str]:
        """The day in sentences: the model in force, the candidate, what went out."""
        report = self.report
        said = [f"No model was in force on {report.day}: nothing was measured."]
        if report.model_day is not None:
            remarks = "".join(f": {words}" for words in ["; ".join(report.remarks().values())] if words)
            said = [f"On {report.day} the model of {report.model_day} was in force{remarks}."]
        if report.gate:
            said.append(f"The candidate of {report.day}: {report.gate}.")
        if self.scores is not None:
            fallback = " as a fallback" if self.scores["state"] == "fallback" else ""
            said.append(
                f"{self.scores['rows']:,} requests of {self.scores['score_day']} were scored by the model of "
                f"{self.scores['model_day']}{fallback}."
            )
        return said
