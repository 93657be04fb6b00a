"""Whether a candidate may serve: absolute limits, then the champion, on all rows and on slices.

What is judged is what is served: ranks and losses are those of the calibrated probability. The gate refuses on
evidence only, so that noise alone, however large, does not refuse: an absolute limit on PCOC or AUC needs the whole
confidence interval of the number to lie outside it; against the champion, the *regression* is how much worse the
candidate's metric is than the champion's on the same rows (positive = worse), and its whole interval must lie above
the limit.

The interval of PCOC comes from Clopper and Pearson's (1934) of the click rate, so it holds for any number of clicks,
also none; the others are bootstrap intervals, which are no evidence with fewer than min_clicks clicks or non-clicks:
then these limits are not judged, and the decision says so. Where rows come in clusters, such as those of a user, the
bootstrap draws clusters, and clusters with a click, and with a non-click, are what is counted.

With m slices each slice's interval has level 1 - (1 - level) / m (Bonferroni), so that all of them together err
as seldom as the one of all rows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnn_gluon.arrays import Floats
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import label_array, weight_array
from pnn_gluon.evaluation.bootstrap import bootstrap, paired_bootstrap
from pnn_gluon.evaluation.identity import Identities
from pnn_gluon.evaluation.interval import Interval
from pnn_gluon.evaluation.metrics import ClickMetrics, row_log_loss
from pnn_gluon.evaluation.pcoc_interval import pcoc_interval

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class GateRules:
    """The limits. Differences are in the units of the metric; PCOC is predicted over observed clicks."""

    metric: Literal["auc", "log_loss", "normalized_entropy"] = "normalized_entropy"
    max_regression: float = 0.002
    min_auc: float = 0.5
    pcoc_range: tuple[float, float] = (0.8, 1.25)
    min_rows: int = 100
    min_rows_share: float = 0.5
    max_new_share: float = 0.5
    min_clicks: int = 10
    slice_max_regression: float = 0.02
    slice_min_rows: int = 1000
    bootstrap_repeats: int = 200
    seed: int = 1
    level: float = 0.95


@dataclass(frozen=True, eq=False)
class Scores:
    """What one model says about the rows: logit (B,), calibrated probability (B,) and the logit of that (B,).

    Without the last, losses come from probabilities, and one of exactly 0 or 1 against its label is a fault.
    """

    logit: Floats
    probability: Floats
    calibrated_logit: Floats | None = None


@dataclass(frozen=True)
class Seen:
    """What is known of the rows beside their labels and scores; None for what is not.

    Attributes:
        new_share: Of their values, the share that the candidate's map has no id for and scores as *other*.
        usual_rows: How many rows there were on the days before.
    """

    new_share: float | None = None
    usual_rows: float | None = None


NOTHING_SEEN = Seen()

IMPRESSIONS = "impressions"
"""What limits on rows count where rows have weights."""


@dataclass(frozen=True)
class GateDecision:
    """Accepted or not; a reason for each broken limit; the numbers looked at, fit for strict JSON.

    Measures: rows, min_rows, counted (impressions, where rows have weights), baseline (none, champion, or unusable),
    candidate (`ClickMetrics.summary`, None when it could not be made), notes (what was not judged, and warnings),
    rows_share and new_share (value, limit) where they are known, auc where it is judged and pcoc (value, low, high),
    and against a champion: champion (its summary), metric, regression (difference, low, high, limit; or skipped, with
    why), slices (name=value to rows and the like), slice_level, slices_skipped (name=value to why).
    """

    accepted: bool
    reasons: tuple[str, ...]
    measures: dict[str, Any]


def unjudgeable(label: ArrayLike) -> str:
    """Why no candidate can be judged on rows of these labels 0 or 1 (B,); empty if one can."""
    y = label_array(label)
    clicks = int(y.sum())
    if 0 < clicks < y.size:
        return ""
    return (
        f"cannot be judged: {clicks} clicks, {y.size - clicks} non-clicks; expected at least one of each: "
        "take a larger gate share or window"
    )


def judge(
    rules: GateRules,
    label: ArrayLike,
    candidate: Scores,
    champion: Scores | None,
    slices: Mapping[str, NDArray[Any]],
    clusters: Identities | None = None,
    seen: Seen = NOTHING_SEEN,
    weight: ArrayLike | None = None,
) -> GateDecision:
    """Judge the candidate on rows of known label (B,), none of which it was trained on.

    A slice is the rows that share a value of one of the `slices` arrays (B,), compared as text; a cluster, those that
    share a number of `clusters` (B,). A row of a `weight` (B,) stands for so many impressions, which limits on rows
    count, all but that on the share of the usual ones; they are no independent draws, so give clusters, too. What is
    not `seen` is not judged. Without a champion, or with one whose own scores are not finite, the absolute limits
    decide alone and the baseline is recorded so.

    Raises:
        InputError: for labels other than 0 and 1, or lengths that differ.
    """
    y = label_array(label)
    units = np.arange(y.size, dtype=np.uint64) if clusters is None else clusters
    known = _Known(y, units, weight_array(weight, y.size), "rows" if weight is None else IMPRESSIONS)
    measures: dict[str, Any] = {"rows": known.impressions, "min_rows": rules.min_rows, "baseline": "none"}
    measures |= {"candidate": None, "notes": []} | ({} if weight is None else {"counted": IMPRESSIONS})
    faults = _faults(y, candidate)
    if faults:
        return GateDecision(False, tuple(f"candidate: {fault}; all rows" for fault in faults), measures)
    metrics = _metrics(known, candidate)
    measures["candidate"], measures["notes"] = metrics.summary(), metrics.warnings()
    reasons = [*_row_reasons(rules, known, seen, measures), *_absolute(rules, known, candidate, measures)]
    if champion is not None:
        faults = _faults(y, champion)
        measures["baseline"] = f"unusable: {'; '.join(faults)}" if faults else "champion"
        if not faults:
            reasons += _against_champion(rules, known, candidate, champion, slices, measures)
    return GateDecision(not reasons, tuple(reasons), measures)


class _Known(NamedTuple):
    """What is known of rows (B,): labels 0 or 1, what each is drawn by, and as how many of `counted` it counts."""

    label: Floats
    units: Identities
    weight: Floats
    counted: str

    def of(self, rows: Rows) -> "_Known":
        """Of some of them."""
        return _Known(self.label[rows], self.units[rows], self.weight[rows], self.counted)

    @property
    def impressions(self) -> int:
        return round(float(self.weight.sum()))

    @property
    def clicks(self) -> int:
        return round(float((self.weight * self.label).sum()))


def _metrics(known: _Known, scores: Scores) -> ClickMetrics:
    return ClickMetrics().update(known.label, scores.logit, scores.probability, scores.calibrated_logit, known.weight)


def _faults(label: Floats, scores: Scores) -> list[str]:
    """What keeps the scores from being measured at all."""
    logit, probability = (np.asarray(v, dtype=np.float64) for v in (scores.logit, scores.probability))
    outside = int(np.sum(~((probability >= 0) & (probability <= 1))))
    found = {
        "logits that are NaN or infinite": int(np.sum(~np.isfinite(logit))),
        "probabilities that are NaN or outside [0, 1]": outside,
    }
    if scores.calibrated_logit is not None:
        found["calibrated logits that are NaN or infinite"] = int(np.sum(~np.isfinite(scores.calibrated_logit)))
    elif not outside and probability.shape == label.shape:
        certain = int(np.isinf(row_log_loss(label, probability)).sum())
        found["probabilities of exactly 0 or 1 against the label (infinite log loss)"] = certain
    return [f"{count} {what}, limit 0" for what, count in found.items() if count]


def _row_reasons(rules: GateRules, known: _Known, seen: Seen, measures: dict[str, Any]) -> Iterator[str]:
    """What the rows themselves say: how many they are, and how much of them the candidate knows."""
    rows, impressions = known.label.size, known.impressions
    if impressions < rules.min_rows:
        yield f"{known.counted}: {impressions}, limit at least {rules.min_rows}; all rows"
    if seen.usual_rows:
        share, limit = rows / seen.usual_rows, rules.min_rows_share
        measures["rows_share"] = {"value": share, "usual": seen.usual_rows, "limit": limit}
        if share < limit:
            yield f"rows: {share:.4g} of the {seen.usual_rows:g} of the days before, limit at least {limit:g}; all rows"
    if seen.new_share is not None:
        measures["new_share"] = {"value": seen.new_share, "limit": rules.max_new_share}
        if seen.new_share > rules.max_new_share:
            said = f"{seen.new_share:.4g} of the values have no id in the candidate's map"
            yield f"new values: {said}, limit {rules.max_new_share:g}; all rows"


def _absolute(rules: GateRules, known: _Known, candidate: Scores, measures: dict[str, Any]) -> list[str]:
    few = _too_few(rules, known)
    if few:
        measures["notes"].append(f"not judged by auc and against the champion: {few}")
    return _auc_reasons(rules, known, candidate, measures, bool(few)) + _pcoc_reasons(rules, known, candidate, measures)


def _auc_reasons(rules: GateRules, known: _Known, candidate: Scores, measures: dict[str, Any], few: bool) -> list[str]:
    auc, positives = measures["candidate"]["served_auc"], known.clicks
    if auc is None:
        return [
            f"auc: undefined with {positives} positives in {known.impressions} {known.counted}, "
            f"limit {rules.min_auc:g}; all rows"
        ]
    if few:
        return []
    found = bootstrap(
        known.label,
        candidate.probability,
        "auc",
        rules.bootstrap_repeats,
        rules.seed,
        rules.level,
        known.units,
        known.weight,
    )
    measures["auc"] = {**asdict(found), "limit": rules.min_auc}
    if found.high >= rules.min_auc:
        return []
    interval = f"interval {found.low:.6g} to {found.high:.6g}"
    return [f"auc: {auc:.6g} ({interval}), limit at least {rules.min_auc:g}; all rows"]


def _pcoc_reasons(rules: GateRules, known: _Known, candidate: Scores, measures: dict[str, Any]) -> list[str]:
    if not known.label.size:
        return []
    found = pcoc_interval(known.label, candidate.probability, rules.level, known.weight)
    low, high = rules.pcoc_range
    measures["pcoc"] = {**asdict(found), "limit": [low, high]}
    if found.low <= high and (found.high is None or found.high >= low):
        return []
    interval = f"interval {found.low:.6g} to {'any' if found.high is None else format(found.high, '.6g')}"
    value = "undefined" if found.value is None else format(found.value, ".6g")
    return [f"pcoc: {value} ({interval}), limit {low:g} to {high:g}; all rows"]


def _against_champion(
    rules: GateRules,
    known: _Known,
    candidate: Scores,
    champion: Scores,
    slices: Mapping[str, NDArray[Any]],
    measures: dict[str, Any],
) -> list[str]:
    measures["champion"] = _metrics(known, champion).summary()
    measures["metric"] = rules.metric
    few = _too_few(rules, known)
    if few:
        measures["regression"] = {"skipped": few}
        return []
    overall = _regression(rules, known, candidate, champion, np.arange(known.label.size), rules.level)
    measures["regression"] = {**asdict(overall), "limit": rules.max_regression}
    reasons = _refusal(rules.metric, overall, rules.max_regression, "all rows")
    return reasons + _slice_reasons(rules, known, candidate, champion, slices, measures)


def _slice_reasons(
    rules: GateRules,
    known: _Known,
    candidate: Scores,
    champion: Scores,
    slices: Mapping[str, NDArray[Any]],
    measures: dict[str, Any],
) -> list[str]:
    judged: dict[str, Rows] = {}
    skipped: dict[str, str] = {}
    for name, rows in _slices(slices, known.label.size):
        if (shown := known.of(rows).impressions) < rules.slice_min_rows:
            skipped[name] = f"{shown} {known.counted}, limit at least {rules.slice_min_rows}"
        elif few := _too_few(rules, known.of(rows)):
            skipped[name] = few
        else:
            judged[name] = rows
    level = 1 - (1 - rules.level) / max(len(judged), 1)
    found = {n: _regression(rules, known, candidate, champion, rows, level) for n, rows in judged.items()}
    limit = rules.slice_max_regression
    measures["slice_level"] = level
    measures["slices"] = {
        n: {"rows": known.of(judged[n]).impressions, **asdict(i), "limit": limit} for n, i in found.items()
    }
    measures["slices_skipped"] = skipped
    return [reason for n, i in found.items() for reason in _refusal(rules.metric, i, limit, f"slice {n}")]


def _slices(slices: Mapping[str, NDArray[Any]], size: int) -> Iterator[tuple[str, Rows]]:
    for name in sorted(slices):
        values, where, counts = np.unique(np.asarray(slices[name]).astype(str), return_inverse=True, return_counts=True)
        if where.size != size:
            raise InputError(f"slice {name}: expected {size} values, one for each row, received {where.size}")
        groups = np.split(np.argsort(where, kind="stable"), np.cumsum(counts)[:-1])
        yield from ((f"{name}={value}", rows) for value, rows in zip(values, groups, strict=True))


def _too_few(rules: GateRules, known: _Known) -> str:
    label, units = known.label, known.units
    clicked, passed = np.unique(units[label == 1]).size, np.unique(units[label == 0]).size
    if min(clicked, passed) >= rules.min_clicks:
        return ""
    positives, limit = int(label.sum()), f"limit at least {rules.min_clicks} of each class"
    if (clicked, passed) == (positives, label.size - positives):
        return f"{positives} positives in {label.size} rows, {limit}"
    return f"{clicked} clusters with positives, {passed} with negatives, {limit}"


def _regression(
    rules: GateRules,
    known: _Known,
    candidate: Scores,
    champion: Scores,
    rows: Rows,
    level: float,
) -> Interval:
    logits = candidate.calibrated_logit is not None and champion.calibrated_logit is not None
    new, old = (_served(scores, logits and rules.metric != "auc")[rows] for scores in (candidate, champion))
    worse, better = (old, new) if rules.metric == "auc" else (new, old)  # a larger AUC is better, a larger loss worse
    label, units, weight, _ = known.of(rows)
    return paired_bootstrap(
        label, worse, better, rules.metric, rules.bootstrap_repeats, rules.seed, level, logits, units, weight
    )


def _served(scores: Scores, logits: bool) -> Floats:
    """The probabilities, or their logits."""
    return np.asarray(scores.calibrated_logit if logits else scores.probability, dtype=np.float64)


def _refusal(metric: str, regression: Interval, limit: float, where: str) -> list[str]:
    if regression.low <= limit:
        return []
    return [
        f"{metric}: worse than the champion by {regression.difference:.6g} "
        f"(interval {regression.low:.6g} to {regression.high:.6g}), limit {limit:g}; {where}"
    ]
