"""Rows with weights: every number is that of the same rows, each written out as often as it counts."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from pnn_gluon.evaluation.bootstrap import bootstrap, paired_bootstrap
from pnn_gluon.evaluation.calibration import fit_calibrator
from pnn_gluon.evaluation.day_metrics import DayMetrics
from pnn_gluon.evaluation.gate import GateRules, Scores, judge
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.metrics import ClickMetrics
from pnn_gluon.evaluation.pcoc_interval import pcoc_interval
from pnn_gluon.evaluation.slices import SlicedBy, Slices
from pnn_gluon.report.decision import decision_rules

RANDOM = np.random.default_rng(11)
ROWS = 900
UNIT = np.repeat(np.arange(ROWS // 2, dtype=np.uint64), 2)
"""Two rows of a line are one unit."""
LOGIT = np.repeat(RANDOM.normal(-1, 1, ROWS // 2), 2)
LABEL = np.tile([1.0, 0.0], ROWS // 2)
SHOWN = RANDOM.integers(2, 40, ROWS // 2)
CLICKED = 1 + RANDOM.binomial(SHOWN - 2, sigmoid(LOGIT[::2]))
WEIGHT = np.column_stack((CLICKED, SHOWN - CLICKED)).ravel().astype(np.int64)
OTHER = LOGIT + np.repeat(RANDOM.normal(0.1, 0.6, ROWS // 2), 2)
SITE = np.repeat(RANDOM.integers(0, 3, ROWS // 2), 2)


def out(*columns: Any) -> list[Any]:
    return [np.repeat(column, WEIGHT) for column in columns]


def close(found: Any, expected: Any) -> None:
    """Equal but for the last digits, in nested mappings and lists."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            close(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            close(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-8, abs=1e-10)
    else:
        assert found == expected


def test_click_metrics_are_those_of_the_definition() -> None:
    p = sigmoid(LOGIT)
    found = ClickMetrics().update(LABEL, LOGIT, p, LOGIT, WEIGHT).summary()
    assert (found["rows"], found["positives"]) == (WEIGHT.sum(), WEIGHT[::2].sum())
    assert found["log_loss"] == pytest.approx(log_loss(LABEL, p, sample_weight=WEIGHT), rel=1e-12)
    assert found["auc"] == pytest.approx(roc_auc_score(LABEL, LOGIT, sample_weight=WEIGHT), rel=1e-12)
    assert found["pcoc"] == pytest.approx((WEIGHT * p).sum() / WEIGHT[::2].sum(), rel=1e-12)
    assert found["ctr"] == pytest.approx(WEIGHT[::2].sum() / WEIGHT.sum(), rel=1e-12)
    close(found, ClickMetrics().update(*out(LABEL, LOGIT, p, LOGIT)).summary())


def day(weighted: bool) -> DayMetrics:
    columns = UNIT, SITE.astype(np.uint64), LABEL, OTHER, sigmoid(LOGIT), LOGIT
    unit, site, *rest = columns if weighted else out(*columns)
    return DayMetrics().update(unit, {"site": site}, *rest, WEIGHT if weighted else None)


def test_the_metrics_of_a_day_and_their_intervals_are_those_of_the_day_written_out() -> None:
    one, other = day(True), day(False)
    close(one.summary(), other.summary())
    close(one.brier_parts(), other.brier_parts())
    close(one.auc_by(), other.auc_by())
    close(one.clicks.reliability(), other.clicks.reliability())
    found, expected = (each.intervals(True, 50, 10) for each in (one, other))
    assert len(expected[0]) > 5
    close(found, expected)


def test_slices_are_those_of_the_rows_written_out() -> None:
    def told(columns: Any, weight: Any) -> Any:
        where, *rest = columns
        slices = Slices({"site": SlicedBy.empty(("0", "1", "2"))})
        return slices.update({"site": where}, *rest, weight).told(5)

    columns = SITE, UNIT, LABEL, sigmoid(LOGIT), LOGIT
    found, expected = told(columns, WEIGHT.astype(float)), told(out(*columns), None)
    assert sum(each["rows"] for each in found if each["by"] == "site") == WEIGHT.sum()
    close(found, expected)


@pytest.mark.parametrize("metric", ["auc", "log_loss", "normalized_entropy", "pcoc"])
def test_bootstrap_intervals_are_those_of_the_rows_written_out(metric: Any) -> None:
    one, other = sigmoid(LOGIT), sigmoid(OTHER)
    label, first, second, unit = out(LABEL, one, other, UNIT)
    found = bootstrap(LABEL, one, metric, 40, 3, clusters=UNIT, weight=WEIGHT)
    expected = bootstrap(label, first, metric, 40, 3, clusters=unit)
    close(vars(found), vars(expected))
    pair = paired_bootstrap(LABEL, one, other, metric, 40, 3, clusters=UNIT, weight=WEIGHT)
    close(vars(pair), vars(paired_bootstrap(label, first, second, metric, 40, 3, clusters=unit)))
    plain = bootstrap(LABEL, one, metric, 40, 3, clusters=UNIT)
    assert not math.isclose(plain.value, found.value, rel_tol=1e-3)


def test_the_interval_of_pcoc_is_that_of_all_impressions() -> None:
    found = pcoc_interval(LABEL, sigmoid(LOGIT), 0.9, WEIGHT)
    close(vars(found), vars(pcoc_interval(*out(LABEL, sigmoid(LOGIT)), 0.9)))


@pytest.mark.parametrize("metric", ["auc", "log_loss", "normalized_entropy"])
def test_the_gate_decides_as_on_the_rows_written_out(metric: Any) -> None:
    rules = GateRules(metric=metric, min_rows=2000, slice_min_rows=1000, bootstrap_repeats=40, max_regression=0.001)

    def judged(label: Any, unit: Any, site: Any, one: Any, other: Any, weight: Any) -> Any:
        candidate, champion = (Scores(z, sigmoid(z), z) for z in (one, other))
        return judge(rules, label, candidate, champion, {"site": site}, unit, weight=weight)

    columns = LABEL, UNIT, SITE, OTHER, LOGIT
    found, expected = judged(*columns, WEIGHT), judged(*out(*columns), None)
    assert ROWS < 1000 < rules.min_rows < WEIGHT.sum()
    assert found.accepted == expected.accepted
    assert found.measures["rows"] == WEIGHT.sum()
    assert len(found.measures["slices"]) == 3
    assert not expected.accepted
    assert (found.measures["counted"], "counted" in expected.measures) == ("impressions", False)
    distinct = {"notes", "counted"}  # notes name numbers of distinct scores
    close(
        {k: v for k, v in found.measures.items() if k not in distinct},
        {k: v for k, v in expected.measures.items() if k not in distinct},
    )


def test_limits_on_rows_name_the_impressions_that_they_count() -> None:
    rules, scores, total = (
        GateRules(min_rows=10**6, slice_min_rows=10**6),
        Scores(LOGIT, sigmoid(LOGIT), LOGIT),
        WEIGHT.sum(),
    )
    found = judge(rules, LABEL, scores, scores, {"site": SITE}, UNIT, weight=WEIGHT)
    assert found.reasons[0] == f"impressions: {total:.0f}, limit at least 1000000; all rows"
    assert len(found.measures["slices_skipped"]) == 3
    assert all(" impressions, limit at least 1000000" in why for why in found.measures["slices_skipped"].values())
    assert decision_rules(found.measures)[1]["words"] == f"{total:,.0f} impressions, at least 1,000,000"
    plain = judge(rules, LABEL, scores, None, {}).measures
    assert decision_rules(plain)[1]["words"] == f"{ROWS} rows, at least 1,000,000"


@pytest.mark.parametrize("method", ["isotonic", "platt", "beta", "temperature", "auto"])
def test_a_calibrator_is_that_of_the_rows_written_out(method: Any) -> None:
    line = np.linspace(-4, 3, 50)
    found = fit_calibrator(method, OTHER, LABEL, weight=WEIGHT).logit(line)
    close(found.tolist(), fit_calibrator(method, *out(OTHER, LABEL)).logit(line).tolist())
    assert np.abs(found - fit_calibrator(method, OTHER, LABEL).logit(line)).max() > 0.05
