"""What the manifest of each table tells besides files and rows: one frozen dataclass a table.

A field without a default is in every manifest. One whose default is None is left out while it is None, so that a day
on which there is nothing to tell has the same manifest as before the field was there.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias

KEPT = "kept"
"""Key of the reason for which a day was kept, beside the details."""

Summary: TypeAlias = Mapping[str, Any]
"""Metrics by name, as `pnn_gluon.evaluation.metrics` sums them up."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Details:
    """What one table tells."""

    @property
    def refused(self) -> bool:
        """Whether the day is a refusal, which ends its command with status 4."""
        return False

    @classmethod
    def from_json(cls, details: Mapping[str, Any]) -> Self:
        """Read them back; keys of another release that this one does not know are passed over.

        Raises:
            KeyError: with the name of a field that is not there.
        """
        values = {}
        for field in dataclasses.fields(cls):
            if field.name in details or field.default is dataclasses.MISSING:
                values[field.name] = details[field.name]
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """The fields by name, without those that have nothing to tell."""
        values = dataclasses.asdict(self)
        empty = {field.name for field in dataclasses.fields(self) if field.default is None}
        return {name: value for name, value in values.items() if value is not None or name not in empty}


def signed(reason: str, by: str | None) -> str:
    """A reason, and who gave it where that is known."""
    return f"{reason} ({by})" if by else reason


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowsDetails(Details):
    """What became of the lines of a day's logs; see `pnn_gluon.data.ingest.IngestReport`."""

    lines: int
    rows: int
    positives: int
    rejects: int
    other_days: int
    reasons: Mapping[str, int]
    headers: int = 0
    clicks: int = 0
    joined: int = 0
    conflicts: int = 0
    parts: Sequence[int] | None = None
    halves: int | None = None
    impressions: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleDetails(Details):
    """How the rows were divided; `rate` is that of the negatives of the train share."""

    rows: int
    train: int
    calibrate: int
    gate: int
    positives: int
    dropped: int
    rate: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class CountDetails(Details):
    """Pairs of a field and a value, and the number of values of each field."""

    values: int
    fields: Mapping[str, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckDetails(Details):
    """What of the day's data is not as before; see `pnn_gluon.checks.findings`.

    `findings` has check, field, value, limit, level and words of each, `reasons` the words of those that stop the day
    before training. `days` are those that it was compared with, `notes` say what was not compared. `fields` has
    what `pnn_gluon.checks.field_statistics` tells of each field.
    """

    findings: Sequence[Mapping[str, Any]]
    reasons: Sequence[str]
    days: Sequence[str]
    notes: Sequence[str] = ()
    fields: Mapping[str, Mapping[str, float | int]] | None = None

    @property
    def refused(self) -> bool:
        """Whether the day is not trained on."""
        return bool(self.reasons)

    @property
    def warnings(self) -> list[str]:
        """The words of the findings that stop nothing."""
        return [finding["words"] for finding in self.findings if finding["level"] != "fail"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapDetails(Details):
    """Ids that the day added, the fields whose bucket edges still wait for rows with values, and warnings.

    Where ids expire, `expired` is how many are, and `revived` how many are so no more.
    """

    new_ids: int
    unfitted: Sequence[str] | None = None
    expired: int | None = None
    revived: int | None = None
    notes: Sequence[str] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompactionDetails(MapDetails):
    """What a person had left out of a day's map: why, who and when (UTC); `compacted` is False once that is taken back.

    `new_ids` is below 0. `champion` is the run of the bundle that was compacted, if later days go on from it.
    """

    compacted: bool
    reason: str
    champion: str | None = None
    by: str | None = None
    at: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardDetails(Details):
    """The map and, by day, the sample that the shards were made from; rows by day and share.

    `other` has, by field, the share of the impressions of the newest day that the map reads as *other*; none where that
    day has no rows.
    """

    map: str
    samples: Mapping[str, str]
    rows: Mapping[str, Mapping[str, int]]
    rate: float
    other: Mapping[str, float] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaturedDetails(Details):
    """The day read again, its rows, and the rate of its sample; `day` is None before labels of any day matured."""

    day: str | None
    rows: int | None = None
    rate: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationDetails(Details):
    """What the model in force was worth; `summary` is None when none was, or there was nothing to measure by.

    `intervals` has the bounds of the summary's numbers by name, `brier_parts` what the Brier score consists of, and
    `auc_by` the AUC within the values of fields.
    """

    model_day: str | None
    summary: Summary | None
    reliability: Sequence[Mapping[str, float]]
    new_values: Summary | None = None
    notes: Sequence[str] | None = None
    intervals: Mapping[str, Mapping[str, float]] | None = None
    brier_parts: Mapping[str, float] | None = None
    auc_by: Mapping[str, Mapping[str, float | None]] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReevaluationDetails(EvaluationDetails):
    """The same of a past day, `day`, once its labels had matured."""

    day: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelDetails(Details):
    """The model (name, options, size of its map), the fields' widths, its rate, and how training went.

    `optimizer_from` is the model whose optimizer's states training went on with.
    """

    model: Mapping[str, Any]
    fields: Mapping[str, int]
    rate: float
    examples: int
    history: Sequence[Any]
    best_epoch: int | None = None
    steps: int | None = None
    trees: int | None = None
    pretraining: Mapping[str, Any] | None = None
    started_from: str | None = None
    optimizer_from: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class BundleDetails(Details):
    """The days of a bundle's model and map, and what calibration gave on the rows it was fitted to.

    `calibration` tells how method auto chose, and how segments were shrunk; see `FittedCalibration`.
    """

    model_day: str
    map_day: str
    summary: Summary
    notes: Sequence[str] = ()
    calibration: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateDetails(Details):
    """The gate's decision: every number it looked at, and why it refused.

    Where `gate.approval` may ask a person about an accepted candidate, `asks` says whether it does, `why_asked` why.
    """

    accepted: bool
    reasons: Sequence[str]
    measures: Mapping[str, Any]
    asks: bool | None = None
    why_asked: str | None = None

    @property
    def refused(self) -> bool:
        """Whether the candidate was refused."""
        return not self.accepted


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pointer:
    """A bundle by table, day and run, with the days of its model and its map; all None for no model."""

    table: str | None = None
    day: str | None = None
    run: str | None = None
    model_day: str | None = None
    map_day: str | None = None

    @classmethod
    def within(cls, details: Mapping[str, Any]) -> Self:
        """The pointer among other keys."""
        return cls(**{field.name: details[field.name] for field in dataclasses.fields(cls)})


NOWHERE = Pointer()
"""The pointer of a day on which no model was in force."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChampionDetails(Details):
    """The bundle in force from this day on, and why it is this one.

    Where a person decided, `by` and `at` say who and when; a decision without the first is one that nobody made in
    time.
    """

    pointer: Pointer
    decision: Literal["promoted", "kept", "override"]
    reason: str
    by: str | None = None
    at: str | None = None

    @property
    def by_hand(self) -> bool:
        """Whether a person decided, or was asked and did not answer in time."""
        return self.decision == "override" or self.at is not None

    @classmethod
    def from_json(cls, details: Mapping[str, Any]) -> Self:
        """The keys of the pointer stand among the others."""
        told = {name: details[name] for name in ("decision", "reason")}
        return cls(pointer=Pointer.within(details), **told, by=details.get("by"), at=details.get("at"))

    def to_json(self) -> dict[str, Any]:
        """The keys of the pointer stand among the others."""
        told = super().to_json()
        return {**told.pop("pointer"), **told}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecalibratedDetails(Details):
    """The champion that was recalibrated, its summaries before and after, and the days of the new bundle.

    `calibration` is as in `BundleDetails`.
    """

    champion: Pointer | None
    before: Summary | None = None
    after: Summary | None = None
    notes: Sequence[str] | None = None
    model_day: str | None = None
    map_day: str | None = None
    calibration: Mapping[str, Any] | None = None

    @classmethod
    def from_json(cls, details: Mapping[str, Any]) -> Self:
        """The champion is a pointer."""
        champion = details["champion"]
        return super().from_json({**details, "champion": None if champion is None else Pointer.within(champion)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreDetails(Details):
    """The day that was scored, the model that scored it, and its lines.

    `fallback` is True for an older model than the day's own decision, which was not there, and `why` says why not;
    `override` is the reason for which a person put the model in force; `decided` tells of any decision about it that a
    person made, or should have made: `decision`, `reason`, `by`, `at`.
    """

    score_day: str
    model_day: str
    map_day: str
    rejects: int
    lines: int
    fallback: bool | None = None
    why: str | None = None
    override: str | None = None
    decided: Mapping[str, Any] | None = None

    @property
    def state(self) -> str:
        """`final`, or `fallback`: to be replaced once the day's own decision is there."""
        return "fallback" if self.fallback else "final"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedDetails(Details):
    """Where the scores of which day went.

    `sequence` counts the publications of that day that differ, from 1; `earlier` are those that this one replaced.
    Releases before 0.3 told neither.
    """

    table: str
    score_day: str
    sequence: int | None = None
    state: str | None = None
    model_day: str | None = None
    earlier: Sequence[Mapping[str, Any]] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExplanationDetails(Details):
    """How many rows of how many the model was looked at with, and its most important fields; or why it was not."""

    rows: int
    rows_available: int
    important: Sequence[str]
    unexplained: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportDetails(Details):
    """What stands at the top of the day's page."""

    verdict: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OverrideDetails(Details):
    """The day whose model a person put in force, None when that was taken back; why, who and when (UTC)."""

    to: str | None
    reason: str
    by: str | None = None
    at: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApprovalDetails(Details):
    """The answer about a candidate, by the run of its bundle: why, who, None for nobody in time, and when (UTC)."""

    candidate: str
    approved: bool
    reason: str
    by: str | None
    at: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class SkipDetails(Details):
    """Whether a day counts as one without logs, and why."""

    skipped: bool
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportDetails(Details):
    """The model of an export, what was scored (`logs` or `requests`), and how it was asked for.

    `choice` is `champion` where the model in force on each day was asked for; `state`, `why` and `override` are as in
    `ScoreDetails`, and `why` also tells that no row has the value of the slice. `sequence` is that of the table on the
    score server. Releases before 0.3 told the first three.
    """

    model_day: str
    map_day: str
    rows: str
    choice: str | None = None
    state: str | None = None
    why: str | None = None
    override: str | None = None
    slice: str | None = None
    format: str | None = None
    precision: str | None = None
    table: str | None = None
    sequence: int | None = None
