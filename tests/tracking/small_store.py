"""A store of manifests and small files, made without a model: two days of a pipeline, as its steps would tell them."""

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pnn_gluon.checks.profile import DayProfile
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import plus
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.store.manifest import Manifest

FIRST = datetime.date(2026, 11, 1)
SECOND = plus(FIRST, 1)

PIPELINE = """
name = "clicks"
first_day = 2026-11-01
store = { root = "store" }
fields = [
    { name = "site", column = "c1" },
    { name = "price", kind = "numeric", column = "n1" },
    { name = "hour", column = "hour_of_day" },
]
[source]
logs = "raw/logs/{day}/*.tsv"
requests = "raw/requests/{day}/*.tsv"
columns = ["id", "time", "click", "c1", "n1"]
id_column = "id"
time_column = "time"
label = { column = "click" }
[model]
name = "fm"
"""

MADE_BY = {"pnn_gluon": "0.2.0", "mxnet": "1.9.1"}
SUMMARY = {"auc": 0.7, "log_loss": 0.5, "pcoc": 1.01, "rows": 90, "positives": 9}
INTERVALS = {"auc": {"low": 0.65, "high": 0.75}}
HISTORY = [{"epoch": 0, "loss": 0.6, "validation": 0.55}, {"epoch": 1, "loss": 0.5, "validation": 0.45}]
FINDING = {"check": "missing", "field": "site", "value": 0.25, "limit": 0.1, "level": "warn", "words": "site: more"}


def small_store(folder: Path, tracking: str = "") -> Config:
    """A pipeline of which two days were made: the second model is refused, so the first one is in force."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pipeline.toml"
    path.write_text(PIPELINE + tracking)
    config = load_config(path)
    for day in (FIRST, SECOND):
        make_day(config, day)
    return config


def make_day(config: Config, day: datetime.date) -> None:
    """Everything that the steps of a day tell, from the rows to the scores."""
    _make_data(config, day)
    bundle = make_model(config, day)
    _decide(config, day, bundle)
    ahead = str(plus(day, 1))
    scores = {"score_day": ahead, "model_day": str(FIRST), "map_day": str(FIRST), "rejects": 1, "lines": 31}
    read = {f"raw/requests/{ahead}/part-0.tsv": "9:ab", f"clocks/{ahead}": f"{ahead}T00:00:00Z +0"}
    commit(config, "scores", day, scores, rows=30, inputs=read, files={"scores.parquet": b"scores" * 5})


def _make_data(config: Config, day: datetime.date) -> None:
    told = {"lines": 101, "rows": 100, "positives": 10, "rejects": 1, "other_days": 0, "reasons": {"label": 1}}
    raw = {f"raw/logs/{day}/part-{number}.tsv": f"{number}:ab" for number in range(2)}
    rows = commit(config, "rows", day, told, rows=100, inputs=raw, files={"rows.parquet": b"rows" * 10})
    found = {"findings": [FINDING] if day == SECOND else [], "reasons": [], "days": [], "notes": []}
    profile = DayProfile(100, 10, 1, {"site": 25, "price": 0, "hour": 0}, {"price": {}})
    file = config.path.parent / "profile.json"
    profile.save(file)
    commit(config, "checks", day, found, inputs={f"rows/{day}": rows.run}, files={file.name: file.read_bytes()})


def make_model(config: Config, day: datetime.date, loss: float = 0.5) -> Manifest:
    """The model and the bundle of a day."""
    model = {
        "model": {"name": "fm", "options": {"embedding_size": 4}, "size": 12},
        "fields": {"site": 1, "price": 1, "hour": 1},
        "rate": 0.5,
        "examples": 80,
        "history": [*HISTORY, {"epoch": 2, "loss": loss, "validation": 0.44}],
    }
    options = {"model.name": "fm", "training.epochs": 3}
    made = commit(config, "models", day, model, rows=12, options=options, files={"model-symbol.json": b"{}"})
    bundle = {"model_day": str(day), "map_day": str(day), "summary": SUMMARY, "notes": []}
    files = {"bundle.json": json.dumps({"model": made.run}).encode()}
    inputs = {f"models/{day}": made.run, f"samples/{plus(day, -1)}": None}
    return commit(config, "bundles", day, bundle, options=options, inputs=inputs, files=files)


def _decide(config: Config, day: datetime.date, bundle: Manifest) -> None:
    evaluation = {
        "model_day": None if day == FIRST else str(FIRST),
        "summary": None if day == FIRST else SUMMARY,
        "reliability": [],
        "intervals": INTERVALS,
    }
    metrics = json.dumps(evaluation, sort_keys=True).encode()
    commit(config, "evaluations", day, evaluation, rows=90, files={"metrics.json": metrics})
    refused = [] if day == FIRST else ["auc 0.4, limit 0.5"]
    measures = {"regression": {"difference": 0.01, "low": -0.01, "high": 0.03}, "baseline": "none"}
    gate = {"accepted": not refused, "reasons": refused, "measures": measures}
    commit(config, "gates", day, gate, inputs={f"bundles/{day}": bundle.run})
    if day == FIRST:
        point(config, day, bundle, "promoted", "accepted by the gate")
    else:
        first = open_store(config).manifest("bundles", FIRST)
        assert first is not None
        point(config, day, first, "kept", "refused by the gate")


def point(config: Config, day: datetime.date, bundle: Manifest, decision: str, reason: str) -> None:
    """Put a bundle in force."""
    pointer = {"table": "bundles", "day": str(bundle.day), "run": bundle.run}
    days = {"model_day": str(bundle.day), "map_day": str(bundle.day)}
    commit(config, "champions", day, {**pointer, **days, "decision": decision, "reason": reason})


def commit(
    config: Config,
    table: str,
    day: datetime.date,
    details: Mapping[str, Any],
    *,
    rows: int = 0,
    inputs: Mapping[str, str | None] | None = None,
    options: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Manifest:
    """Make a day of a table."""
    store = open_store(config)
    with store.staging(table, day) as folder:
        for name, content in (files or {}).items():
            (folder / name).write_bytes(content)
        return store.commit(
            table,
            day,
            folder,
            rows=rows,
            inputs=inputs or {},
            options=options or {},
            version=1,
            made_by=MADE_BY,
            details=details,
        )
