"""A day and its model as one run of MLflow: parameters, metrics, tags and files, made from manifests alone.

Metrics say whose they are: `in_force.` of the model that served the day, measured on its rows; `calibration.` and
`gate.` of the candidate that the day trained; `training.` of its epochs.
"""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pnn_gluon.config import TrainingConfig
from pnn_gluon.pipeline.details import EvaluationDetails
from pnn_gluon.pipeline.partition import Partition
from pnn_gluon.pipeline.steps import STEPS
from pnn_gluon.pipeline.tables import (
    BUNDLES,
    CHAMPIONS,
    CHECKS,
    EVALUATIONS,
    GATES,
    METRICS_FILE,
    MODELS,
    REEVALUATIONS,
    ROWS,
    SCORES,
)
from pnn_gluon.store.manifest import fingerprint
from pnn_gluon.tracking.masking import masked_json, masked_values
from pnn_gluon.tracking.tracked_day import TrackedDay

CARD_FILE = "bundle.json"
"""The card of a bundle: what it is made of."""

NO_MODEL = "none"
"""In place of the run of a bundle, on a day that made none."""

PREFIX = "pnn_gluon."
"""Of the tags that are ours."""

REPORTS = "reports"
"""The table whose files people read, where there is one."""

_SMALL = (
    (EVALUATIONS.name, METRICS_FILE, METRICS_FILE),
    (BUNDLES.name, CARD_FILE, f"bundle/{CARD_FILE}"),
)
"""Files by table and name, and what they are called in the run."""

_LONGEST, _LONGEST_KEY = 500, 250
"""Characters of a parameter or tag, and of a name; some servers take no more."""

_NO_METRICS = {"reasons"}
"""Of the details of rows: how many lines were set aside by reason, which may be any text; the manifest has them."""


@dataclasses.dataclass(frozen=True)
class DayRecord:
    """What one run of MLflow holds.

    Attributes:
        day: the day.
        model_run: run of the bundle that the day made; `NO_MODEL` if none.
        at: when the newest manifest was written (UTC).
        params: by name; they never change within a run.
        metrics: value by name and step.
        tags: by name, those of the registered model besides.
        files: content by path.
    """

    day: str
    model_run: str
    at: datetime
    params: Mapping[str, str]
    metrics: Mapping[tuple[str, int], float]
    tags: Mapping[str, str]
    files: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """The hash of all of it: equal records are sent once."""
        files = {path: hashlib.sha256(content).hexdigest() for path, content in self.files.items()}
        numbers = {f"{name}@{step}": value for (name, step), value in self.metrics.items()}
        told = [self.day, self.model_run, dict(self.params), numbers, dict(self.tags), files]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def record_of(tracked: TrackedDay) -> DayRecord | None:
    """The record of a day; None where neither a model was made nor one was measured."""
    bundle, evaluation = tracked.partition(BUNDLES), tracked.partition(EVALUATIONS)
    if bundle is None and evaluation is None:
        return None
    model_run = NO_MODEL if bundle is None else bundle.run
    params = {} if bundle is None else _params(tracked)
    return DayRecord(
        day=str(tracked.day),
        model_run=model_run,
        at=tracked.last_written,
        params=params,
        metrics=dict(_metrics(tracked)),
        tags={f"{PREFIX}{name}": text for name, text in _tags(tracked, model_run, params).items()},
        files=dict(_files(tracked)),
    )


def _params(tracked: TrackedDay) -> dict[str, str]:
    """All options of the model and of training, and of the rest those that differ from their defaults."""
    bundle, model = tracked.manifests[BUNDLES.name], tracked.partition(MODELS)
    chosen = dict(bundle.options or {})
    defaults = {f"training.{name}": value for name, value in TrainingConfig().model_dump(mode="json").items()}
    found = {**defaults, **chosen}
    if model is not None:
        told = model.details.model
        found |= {"model.name": told["name"], "model.size": told["size"]}
        found |= {f"model.{name}": value for name, value in told.get("options", {}).items()}
        found |= {"model.rate": model.details.rate, "model.examples": model.details.examples}
    return {_key(name): _short(masked_values(value)) for name, value in sorted(found.items())}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _key(name: str) -> str:
    """A name as MLflow takes it; values of fields, of which slices are named, may be anything."""
    return re.sub(r"[^\w. :-]", "_", name)[:_LONGEST_KEY]


def _metrics(tracked: TrackedDay) -> Iterator[tuple[tuple[str, int], float]]:
    rows, bundle, gate = tracked.partition(ROWS), tracked.partition(BUNDLES), tracked.partition(GATES)
    scores, check = tracked.partition(SCORES), tracked.partition(CHECKS)
    evaluation, matured = tracked.partition(EVALUATIONS), tracked.partition(REEVALUATIONS)
    told: dict[str, Any] = {
        "rows": {} if rows is None else _without(rows.details.to_json(), _NO_METRICS),
        "scores": {} if scores is None else {"rows": scores.rows, "rejects": scores.details.rejects},
        "checks": {} if check is None else {"findings": len(check.details.findings)},
        "calibration": {} if bundle is None else bundle.details.summary,
        "gate": {} if gate is None else {"accepted": gate.details.accepted, **gate.details.measures},
        "in_force": _measured(evaluation),
        "matured": _measured(matured),
    }
    for name, value in _numbers(told):
        yield (_key(name), 0), value
    yield from _history(tracked)


def _measured(evaluated: Partition[EvaluationDetails] | None) -> dict[str, Any]:
    """The metrics of a model on a day, with the bounds of each beside it."""
    if evaluated is None:
        return {}
    details = evaluated.details
    return {
        **(details.summary or {}),
        **{f"{name}.interval": bounds for name, bounds in (details.intervals or {}).items()},
        "brier_parts": details.brier_parts or {},
        "auc_by": details.auc_by or {},
        "new_values": details.new_values or {},
    }


def _numbers(told: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every finite number of some JSON, by where it stands."""
    if isinstance(told, bool | int | float):
        if math.isfinite(told):
            yield name, float(told)
    elif isinstance(told, Mapping):
        for key, value in told.items():
            yield from _numbers(value, f"{name}.{key}" if name else str(key))


def _without(told: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in names}


def _history(tracked: TrackedDay) -> Iterator[tuple[tuple[str, int], float]]:
    """How training went, an epoch a step."""
    model = tracked.partition(MODELS)
    for number, epoch in enumerate(() if model is None else model.details.history):
        if isinstance(epoch, Mapping):
            step = int(epoch.get("epoch", number))
            for name, value in _numbers(_without(epoch, {"epoch"})):
                yield (_key(f"training.{name}"), step), value


def _tags(tracked: TrackedDay, model_run: str, params: Mapping[str, str]) -> dict[str, str]:
    evaluation, gate = tracked.partition(EVALUATIONS), tracked.partition(GATES)
    champion = tracked.partition(CHAMPIONS)
    runs = {f"run.{table}": manifest.run for table, manifest in tracked.manifests.items()}
    made_by = (tracked.manifests.get(BUNDLES.name) or tracked.manifests[EVALUATIONS.name]).made_by
    tags = {
        "pipeline": tracked.config.name,
        "day": str(tracked.day),
        "run": model_run,
        "config": fingerprint(params)[:16],
        **{f"made_by.{name}": text for name, text in made_by.items()},
        **runs,
    }
    if evaluation is not None:
        tags["in_force.model_day"] = evaluation.details.model_day or "none"
    if gate is not None:
        tags["gate"] = "accepted" if gate.details.accepted else f"refused: {'; '.join(gate.details.reasons)}"
    if champion is not None:
        tags["decision"] = f"{champion.details.decision}: {champion.details.reason}"
    if failed := [step.name for step in STEPS if tracked.failure(step) is not None]:
        tags["failed"] = ", ".join(failed)
    return {name: _short(masked_values(text)) for name, text in tags.items()}


def _files(tracked: TrackedDay) -> Iterator[tuple[str, bytes]]:
    """The manifests of the day, the metrics, the card of the bundle, and the report where there is one."""
    for table, manifest in tracked.manifests.items():
        yield f"manifests/{table}.json", masked_json(manifest.to_json())
    for table, name, path in _SMALL:
        if (content := tracked.content(table, name)) is not None:
            yield path, masked_json(content)
    report = tracked.manifests.get(REPORTS)
    for file in () if report is None else report.files:
        if (page := tracked.content(REPORTS, file.name)) is not None:
            yield f"report/{file.name}", page
