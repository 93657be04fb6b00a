"""What the page of a day shows, from the partitions of the day."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from jobs.day_decision import day_decision
from pnn_gluon.pipeline.details import GateDetails, ModelDetails
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.steps import REPORTED, maker
from pnn_gluon.pipeline.tables import (
    BUNDLES,
    CHAMPIONS,
    CHECKS,
    EVALUATIONS,
    EXPLANATION_FILE,
    EXPLANATIONS,
    GATES,
    MAPS,
    METRICS_FILE,
    MODELS,
    ROWS,
    SAMPLES,
    SCORES,
    SHARDS,
    D,
    Table,
)
from pnn_gluon.report.day_document import DayDocument, Lineage, Volume
from pnn_gluon.report.day_report import COMPARED, DayReport
from pnn_gluon.report.decision import decision_rules
from pnn_gluon.secrets_masking import masked
from pnn_gluon.training.history import as_mappings


class Parts(Protocol):
    """A day, table by table."""

    def __call__(self, table: Table[D]) -> Partition[D] | None:
        """A table of the day; None where it was never made."""


def day_report(day: str, parts: Parts, matured_pcoc: float | None = None) -> DayReport | None:
    """A day as a row among others; None for one that was not evaluated.

    Args:
        day: The day.
        parts: What was made of it.
        matured_pcoc: PCOC by the labels that came later.
    """
    evaluation, rows, check = parts(EVALUATIONS), parts(ROWS), parts(CHECKS)
    if evaluation is None or rows is None:
        return None
    details, gate = evaluation.details, parts(GATES)
    decision = day_decision(gate, parts(CHAMPIONS))
    shown = rows.rows if rows.details.impressions is None else rows.details.impressions
    counts = {"rows": shown, "positives": rows.details.positives}
    new_values = details.new_values or {}  # stores of earlier releases have no such slice and no notes
    new = {f"new_{name}": new_values.get(name) for name in ("rows", "pcoc")}
    refused = () if gate is None else gate.details.reasons
    return DayReport(
        day=day,
        model_day=details.model_day,
        summary={**(details.summary or counts), **new, "matured_pcoc": matured_pcoc},
        intervals=details.intervals or {},
        reliability=details.reliability,
        gate=decision.word,
        reasons=[*([decision.told] if decision.told else []), *refused],
        notes=_notes(parts),
        checks=() if check is None else check.details.findings,
        judged=_judged(gate),
        weighted=rows.details.impressions is not None,
    )


def _judged(gate: Partition[GateDetails] | None) -> dict[str, Mapping[str, Any]]:
    """The numbers of candidate and champion on the gate's rows."""
    if gate is None:
        return {}
    sides = {side: gate.details.measures.get(side) for side in ("candidate", "champion")}
    return {side: {name: told.get(name) for name in COMPARED} for side, told in sides.items() if told}


def _notes(parts: Parts) -> list[str]:
    grown, evaluation, bundle, gate = parts(MAPS), parts(EVALUATIONS), parts(BUNDLES), parts(GATES)
    found = {
        "feature_map": () if grown is None else grown.details.notes or (),
        "evaluate": () if evaluation is None else evaluation.details.notes or (),
        "calibrate": () if bundle is None or bundle.kept is not None else bundle.details.notes,
        "gate": () if gate is None else gate.details.measures.get("notes", ()),
    }
    return [f"{step}: {note}" for step, notes in found.items() for note in notes]


def day_document(pipeline: str, day: str, parts: Parts, earlier: Sequence[Parts]) -> DayDocument | None:
    """The page of a day; None for one that was not evaluated.

    Args:
        pipeline: Its name.
        day: The day.
        parts: What was made of it.
        earlier: Evaluations and gates of days before, oldest first.
    """
    report = day_report(day, parts)
    if report is None:
        return None
    model, bundle, gate, evaluation = parts(MODELS), parts(BUNDLES), parts(GATES), parts(EVALUATIONS)
    assert evaluation is not None
    metrics = json.loads(
        evaluation.content(METRICS_FILE) or b"{}"
    )  # earlier releases had neither of what is read of it
    return DayDocument(
        pipeline=pipeline,
        report=report,
        trend=[each for day_parts in (*earlier, parts) if (each := _in_trend(day_parts)) is not None],
        brier_parts=evaluation.details.brier_parts or {},
        auc_by=evaluation.details.auc_by or {},
        slices=metrics.get("slices", ()),
        reliability_before=metrics.get("reliability_before", ()),
        candidate_day=None if bundle is None or bundle.kept is not None else bundle.details.model_day,
        rules=[] if gate is None else decision_rules(gate.details.measures),
        measures={} if gate is None else gate.details.measures,
        history=learning_history(model),
        **_explained(parts),
        fields=list(_fields(day, parts)),
        volumes=list(_volumes(parts)),
        rejects={} if (rows := parts(ROWS)) is None else rows.details.reasons,
        scores=_scores(parts),
        lineage=[_lineage(made) for table in REPORTED if (made := parts(table)) is not None],
    )


def learning_history(model: Partition[ModelDetails] | None) -> list[Mapping[str, Any]]:
    """How training went, epoch by epoch or tree by tree; empty for no model."""
    return [] if model is None or model.kept is not None else as_mappings(model.details.history)


def _explained(parts: Parts) -> dict[str, Any]:
    """What the candidate learned, or why nothing is known of it."""
    made = parts(EXPLANATIONS)
    if made is None:
        return {}
    content = made.content(EXPLANATION_FILE)
    if content is not None:
        return {"explanation": json.loads(content)}
    return {"unexplained": f"Not looked at: {made.details.unexplained}."}


def _in_trend(parts: Parts) -> DayReport | None:
    """A day among those whose way is drawn; None for one that was not evaluated."""
    evaluation = parts(EVALUATIONS)
    if evaluation is None:
        return None
    details = evaluation.details
    return DayReport(
        day=str(evaluation.day),
        model_day=details.model_day,
        summary=details.summary or {},
        intervals=details.intervals or {},
        judged=_judged(parts(GATES)),
    )


def _fields(day: str, parts: Parts) -> Iterator[Mapping[str, Any]]:
    """What each field holds, as far as it was looked at."""
    rows, check, shards = parts(ROWS), parts(CHECKS), parts(SHARDS)
    if rows is None or check is None or not check.details.fields:  # earlier releases told nothing of fields
        return
    count = rows.rows if rows.details.impressions is None else rows.details.impressions
    of_day = shards is not None and shards.kept is None and max(shards.details.samples, default="") == day
    other = (shards.details.other or {}) if shards is not None and of_day else {}
    for name, told in check.details.fields.items():
        numbers = {key: told.get(key) for key in ("distinct", "least", "greatest", "mean")}
        missing = told["missing"] / count if count else None
        yield {"field": name, "missing": missing, "other": other.get(name), **numbers}


def _volumes(parts: Parts) -> Iterator[Volume]:
    rows, sample, shards, scores = parts(ROWS), parts(SAMPLES), parts(SHARDS), parts(SCORES)
    if rows is not None:
        told = rows.details
        of_lines = {"lines": told.lines, "rejects": told.rejects, "of other days": told.other_days}
        yield from (Volume(step="ingest", what=what, rows=count) for what, count in of_lines.items())
        shown = {} if told.impressions is None else {"impressions": told.impressions}
        of_rows = {"rows": told.rows, **shown, "clicks": told.positives}
        yield from (Volume(step="ingest", what=what, rows=count) for what, count in of_rows.items())
    if sample is not None and sample.kept is None:
        for what in ("train", "calibrate", "gate", "dropped"):
            yield Volume(step="sample", what=what, rows=getattr(sample.details, what))
    if shards is not None and shards.kept is None:
        for share in ("train", "calibrate"):
            days = shards.details.rows.values()
            yield Volume(step="encode", what=f"{share}, all days", rows=sum(each.get(share, 0) for each in days))
    if scores is not None and scores.kept is None:
        yield Volume(step="score", what="lines", rows=scores.details.lines)
        yield Volume(step="score", what="rejects", rows=scores.details.rejects)
        yield Volume(step="score", what="scores", rows=scores.rows)


def _scores(parts: Parts) -> dict[str, Any] | None:
    """What was scored for the day after; None where nothing was."""
    scores = parts(SCORES)
    if scores is None or scores.kept is not None:
        return None
    details = scores.details
    return {
        "score_day": details.score_day,
        "model_day": details.model_day,
        "state": details.state,
        "why": None if details.why is None else masked(details.why),
        "rows": scores.rows,
        "rejects": details.rejects,
    }


def _lineage(made: Partition[Any]) -> Lineage:
    manifest = made.manifest
    step = maker(manifest.table)
    return Lineage(
        step=manifest.table if step is None else step.name,
        table=manifest.table,
        run=manifest.run,
        rows=manifest.rows,
        made_by=manifest.made_by,
        options=manifest.options or {},
        inputs=manifest.inputs,
        kept=made.kept,
    )
