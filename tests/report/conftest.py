"""A day with something in every part of its page."""

from typing import Any

import pytest

from pnn_gluon.report.day_document import DayDocument, Lineage, Volume
from pnn_gluon.report.day_report import DayReport

SUMMARY = {
    "rows": 1000,
    "positives": 80,
    "auc": 0.7,
    "normalized_entropy": 0.95,
    "log_loss": 0.26,
    "pcoc": 1.2,
    "ece": 0.01,
}
BOUNDS = {"auc": {"low": 0.68, "high": 0.72}, "pcoc": {"low": 1.1, "high": 1.3}}


def _report(day: str, **changes: Any) -> DayReport:
    bins = [
        {"low": low, "high": 2 * low, "rows": 300.0, "mean_probability": 1.5 * low, "ctr": 1.4 * low}
        for low in (0.02, 0.04, 0.08)
    ]
    judged = {"candidate": SUMMARY | {"served_auc": 0.71}, "champion": SUMMARY | {"served_auc": 0.69, "pcoc": 1.0}}
    values: dict[str, Any] = {"reliability": bins, "intervals": BOUNDS, "judged": judged, **changes}
    return DayReport(day, "2026-11-01", SUMMARY, **values)


@pytest.fixture(scope="session")
def document() -> DayDocument:
    """Read only."""
    findings = [
        {"check": "drift", "field": "c1", "value": 0.3, "limit": 0.1, "level": "fail", "words": "drift of c1: 0.300"},
        {"check": "skew", "field": "c2", "value": 0.2, "limit": 0.1, "level": "warn", "words": "skew of c2: 0.200"},
    ]
    report = _report("2026-11-03", gate="refused", reasons=("pcoc: 1.5",), notes=("gate: a note",), checks=findings)
    return DayDocument(
        pipeline="demo",
        report=report,
        trend=[_report("2026-11-02"), report],
        reliability_before=report.reliability,
        brier_parts={"resolution": 0.01},
        auc_by={"user": {"auc": 0.6, "rows": 900.0}},
        slices=[
            _slice("device", "phone", found=True, pcoc=1.4),
            _slice("hour", "03", found=False, pcoc=1.01, low=None, high=None, auc=None),
        ],
        candidate_day="2026-11-03",
        rules=[
            {
                "rule": "pcoc",
                "where": "all rows",
                "passed": False,
                "outcome": "failed",
                "words": "PCOC 1.5 is above 1.25",
            },
            {
                "rule": "auc",
                "where": "all rows",
                "passed": True,
                "outcome": "passed",
                "words": "AUC 0.7 is at least 0.5",
            },
            {
                "rule": "regression",
                "where": "device=phone",
                "passed": None,
                "outcome": "not judged",
                "words": "too few clicks",
            },
        ],
        history=[{"epoch": 0, "loss": 0.4, "validation": 0.3}, {"epoch": 1, "loss": 0.3, "validation": None}],
        explanation={
            "model": "ipnn",
            "model_day": "2026-11-03",
            "rows": 900,
            "rows_available": 1200,
            "gradient_rows": 800,
            "pairs": {
                "kind": "inner products",
                "fields": ["c1", "c2", "c3"],
                "strength": [[None, 0.5, -0.7], [0.5, None, 0.1], [-0.7, 0.1, None]],
                "spread": [[None, 0.0321, 0.2], [0.0321, None, 0.3], [0.2, 0.3, None]],
            },
            "pairs_missing": None,
            "importance": [{"field": "c1", "log_loss": 0.02, "low": 0.0131, "high": 0.03, "auc": 0.0123}],
            "importance_missing": None,
            "layers": [
                {
                    "layer": "dense0",
                    "parameters": 10,
                    "parameter_norm": 1.5,
                    "gradient_norm": 0.1,
                    "mean_gradient": 0.0456,
                }
            ],
            "layers_missing": None,
            "history": [],
        },
        fields=[
            _field("c1", missing=0.125, other=0.0625, distinct=4321),
            _field("n1", least=-1.5, greatest=7.25, mean=0.375),
        ],
        volumes=[Volume(step="ingest", what="lines", rows=1010)],
        rejects={"label": 10},
        scores={"score_day": "2026-11-04", "model_day": "2026-11-01", "state": "fallback", "rows": 500, "rejects": 0},
        lineage=[
            Lineage(
                step="ingest",
                table="rows",
                run="abc123",
                rows=1000,
                made_by={"pnn_gluon": "0.3"},
                options={"source.preset": "criteo"},
                inputs={"raw/logs/a.tsv": "10:ff", "skips/2026-11-03": None},
            )
        ],
    )


def _slice(by: str, value: str, **changes: Any) -> dict[str, Any]:
    numbers = {"rows": 100, "clicks": 8, "click_rate": 0.08, "mean_probability": 0.09, "log_loss": 0.2, "auc": 0.7}
    return {"by": by, "value": value, **numbers, "low": 1.2, "high": 1.6, "p": 0.001, **changes}


def _field(name: str, **told: float) -> dict[str, Any]:
    keys = ("missing", "other", "distinct", "least", "greatest", "mean")
    return {"field": name, **dict.fromkeys(keys), **told}
