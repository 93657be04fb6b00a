"""Whether a candidate may serve: absolute limits, then the champion, on all rows and on slices.

Absolute limits hold for the numbers as they are. Against the champion the gate refuses on evidence only:
the *regression* is how much worse the candidate's metric is than the champion's on the same rows (positive =
worse), and a refusal needs the whole confidence interval of the regression to lie above the limit. Noise alone,
however large, does not refuse; min_rows and slice_min_rows are there to keep it small.

With m slices each slice's interval has level 1 - (1 - level) / m (Bonferroni), so that all of them together err
as seldom as the one of all rows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import Floats, label_array
from pnn_gluon.evaluation.bootstrap import Interval, Metric, paired_bootstrap
from pnn_gluon.evaluation.metrics import ClickMetrics, row_log_loss

Rows = NDArray[np.intp]

MINIMUM_OF_CLASS = 10
"""Positives, and negatives, below which a bootstrap interval is no evidence: no comparison with the champion."""


@dataclass(frozen=True)
class GateRules:
    """The limits. Differences are in the units of the metric; PCOC is predicted over observed clicks."""

    metric: Metric = "normalized_entropy"
    max_regression: float = 0.002
    min_auc: float = 0.5
    pcoc_range: tuple[float, float] = (0.8, 1.25)
    min_rows: int = 100
    slice_max_regression: float = 0.02
    slice_min_rows: int = 1000
    bootstrap_repeats: int = 200
    seed: int = 1
    level: float = 0.95


@dataclass(frozen=True, eq=False)
class Scores:
    """What one model says about the rows: logit (B,) and calibrated probability (B,)."""

    logit: Floats
    probability: Floats


@dataclass(frozen=True)
class GateDecision:
    """Accepted or not; a reason for each broken limit; the numbers looked at, fit for strict JSON.

    Measures: rows, baseline (none, champion, or unusable), candidate (`ClickMetrics.summary`, None when it could not
    be made), and against a champion: champion (its summary), metric, regression (difference, low, high, limit; or
    skipped, with why), slices (name=value to rows and the like), slice_level, slices_skipped (name=value to why).
    """

    accepted: bool
    reasons: tuple[str, ...]
    measures: dict[str, Any]


def judge(
    rules: GateRules,
    label: ArrayLike,
    candidate: Scores,
    champion: Scores | None,
    slices: Mapping[str, NDArray[Any]],
) -> GateDecision:
    """Judge the candidate on rows of known label (B,), none of which it was trained on.

    A slice is the rows that share a value of one of the `slices` arrays (B,), compared as text. Without a champion,
    or with one whose own scores are not finite, the absolute limits decide alone and the baseline is recorded so.

    Raises:
        InputError: for labels other than 0 and 1, or lengths that differ.
    """
    y = label_array(label)
    measures: dict[str, Any] = {"rows": y.size, "baseline": "none", "candidate": None}
    faults = _faults(y, candidate)
    if faults:
        return GateDecision(False, tuple(f"candidate: {fault}; all rows" for fault in faults), measures)
    summary = ClickMetrics().update(y, candidate.logit, candidate.probability).summary()
    measures["candidate"] = summary
    reasons = _absolute(rules, summary)
    if champion is not None:
        faults = _faults(y, champion)
        measures["baseline"] = f"unusable: {'; '.join(faults)}" if faults else "champion"
        if not faults:
            reasons += _against_champion(rules, y, candidate, champion, slices, measures)
    return GateDecision(not reasons, tuple(reasons), measures)


def _faults(label: Floats, scores: Scores) -> list[str]:
    """What keeps the scores from being measured at all."""
    logit, probability = (np.asarray(v, dtype=np.float64) for v in (scores.logit, scores.probability))
    outside = int(np.sum(~((probability >= 0) & (probability <= 1))))
    found = {
        "logits that are NaN or infinite": int(np.sum(~np.isfinite(logit))),
        "probabilities that are NaN or outside [0, 1]": outside,
    }
    if not outside and probability.shape == label.shape:
        certain = int(np.isinf(row_log_loss(label, probability)).sum())
        found["probabilities of exactly 0 or 1 against the label (infinite log loss)"] = certain
    return [f"{count} {what}, limit 0" for what, count in found.items() if count]


def _absolute(rules: GateRules, summary: Mapping[str, float | int | None]) -> list[str]:
    rows, positives, auc, pcoc = (summary[name] for name in ("rows", "positives", "auc", "pcoc"))
    low, high = rules.pcoc_range
    reasons = []
    if rows is None or rows < rules.min_rows:
        reasons.append(f"rows: {rows}, limit at least {rules.min_rows}; all rows")
    if auc is None:
        reasons.append(f"auc: undefined with {positives} positives in {rows} rows, limit {rules.min_auc:g}; all rows")
    elif auc < rules.min_auc:
        reasons.append(f"auc: {auc:.6g}, limit at least {rules.min_auc:g}; all rows")
    if pcoc is not None and not low <= pcoc <= high:
        reasons.append(f"pcoc: {pcoc:.6g}, limit {low:g} to {high:g}; all rows")
    return reasons


def _against_champion(
    rules: GateRules,
    label: Floats,
    candidate: Scores,
    champion: Scores,
    slices: Mapping[str, NDArray[Any]],
    measures: dict[str, Any],
) -> list[str]:
    measures["champion"] = ClickMetrics().update(label, champion.logit, champion.probability).summary()
    measures["metric"] = rules.metric
    few = _too_few(label)
    if few:
        measures["regression"] = {"skipped": few}
        return []
    overall = _regression(rules, label, candidate, champion, np.arange(label.size), rules.level)
    measures["regression"] = {**asdict(overall), "limit": rules.max_regression}
    reasons = _refusal(rules.metric, overall, rules.max_regression, "all rows")
    return reasons + _slice_reasons(rules, label, candidate, champion, slices, measures)


def _slice_reasons(
    rules: GateRules,
    label: Floats,
    candidate: Scores,
    champion: Scores,
    slices: Mapping[str, NDArray[Any]],
    measures: dict[str, Any],
) -> list[str]:
    judged: dict[str, Rows] = {}
    skipped: dict[str, str] = {}
    for name, rows in _slices(slices, label.size):
        if rows.size < rules.slice_min_rows:
            skipped[name] = f"{rows.size} rows, limit at least {rules.slice_min_rows}"
        elif few := _too_few(label[rows]):
            skipped[name] = few
        else:
            judged[name] = rows
    level = 1 - (1 - rules.level) / max(len(judged), 1)
    found = {name: _regression(rules, label, candidate, champion, rows, level) for name, rows in judged.items()}
    limit = rules.slice_max_regression
    measures["slice_level"] = level
    measures["slices"] = {n: {"rows": judged[n].size, **asdict(i), "limit": limit} for n, i in found.items()}
    measures["slices_skipped"] = skipped
    return [reason for n, i in found.items() for reason in _refusal(rules.metric, i, limit, f"slice {n}")]


def _slices(slices: Mapping[str, NDArray[Any]], size: int) -> Iterator[tuple[str, Rows]]:
    for name in sorted(slices):
        values, where, counts = np.unique(np.asarray(slices[name]).astype(str), return_inverse=True, return_counts=True)
        if where.size != size:
            raise InputError(f"slice {name}: expected {size} values, one for each row, received {where.size}")
        groups = np.split(np.argsort(where, kind="stable"), np.cumsum(counts)[:-1])
        yield from ((f"{name}={value}", rows) for value, rows in zip(values, groups, strict=True))


def _too_few(label: Floats) -> str:
    positives = int(label.sum())
    if min(positives, label.size - positives) >= MINIMUM_OF_CLASS:
        return ""
    return f"{positives} positives in {label.size} rows, limit at least {MINIMUM_OF_CLASS} of each class"


def _regression(
    rules: GateRules, label: Floats, candidate: Scores, champion: Scores, rows: Rows, level: float
) -> Interval:
    kind: Literal["logit", "probability"] = "logit" if rules.metric == "auc" else "probability"
    new, old = (np.asarray(getattr(scores, kind))[rows] for scores in (candidate, champion))
    worse, better = (old, new) if rules.metric == "auc" else (new, old)  # a larger AUC is better, a larger loss worse
    return paired_bootstrap(label[rows], worse, better, rules.metric, rules.bootstrap_repeats, rules.seed, level)


def _refusal(metric: str, regression: Interval, limit: float, where: str) -> list[str]:
    if regression.low <= limit:
        return []
    return [
        f"{metric}: worse than the champion by {regression.difference:.6g} "
        f"(interval {regression.low:.6g} to {regression.high:.6g}), limit {limit:g}; {where}"
    ]
