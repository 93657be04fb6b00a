"""The numbers of a day and their intervals."""

import numpy as np
import pytest

from pnn_gluon.evaluation.auc import Auc
from pnn_gluon.evaluation.day_metrics import DayMetrics
from pnn_gluon.evaluation.delong import delong_interval
from pnn_gluon.evaluation.identity import unit_identities, value_identities
from pnn_gluon.evaluation.log_odds import sigmoid
from pnn_gluon.evaluation.squared_error import SquaredError

HEADLINES = {"auc", "served_auc", "log_loss", "normalized_entropy", "rig", "pcoc", "brier", "rmse"}


def rows(count=600, clusters=None, seed=0):
    """Units, groups, labels, the model's logits, probabilities and their logits."""
    rng = np.random.default_rng(seed)
    ids = [f"r{number}" for number in range(count)]
    user = rng.integers(0, clusters or count, count)
    logit = rng.normal(-1, 1, count) + (rng.normal(0, 1.5, clusters)[user] if clusters else 0)
    label = rng.random(count) < sigmoid(logit)
    unit = unit_identities(ids, [f"u{number}" for number in user] if clusters else None)
    groups = {"slot": value_identities(np.array(["a", "b", None])[rng.integers(0, 3, count)].tolist())}
    return unit, groups, label, logit, sigmoid(logit - 0.1), logit - 0.1


def part(columns, where):
    unit, groups, *others = columns
    return unit[where], {name: group[where] for name, group in groups.items()}, *(each[where] for each in others)


def test_parts_add_up_to_the_day():
    columns = rows()
    whole = DayMetrics().update(*columns)
    merged = DayMetrics().update(*part(columns, slice(400, None))) + DayMetrics().update(*part(columns, slice(0, 400)))
    assert merged.summary() == pytest.approx(whole.summary(), rel=1e-12)
    assert merged.brier_parts() == pytest.approx(whole.brier_parts(), abs=1e-14)
    assert merged.auc_by()["slot"] == pytest.approx(whole.auc_by()["slot"], rel=1e-12)
    (found, _), (expected, notes) = (each.intervals(False, 30, 10) for each in (merged, whole))
    assert notes == []
    assert set(found) == HEADLINES
    for name, bounds in found.items():
        assert bounds == pytest.approx(expected[name], rel=1e-9)
        assert bounds["low"] < whole.summary()[name] < bounds["high"]


def test_summary_tells_brier_rmse_and_ece_of_equal_mass():
    columns = rows()
    state = SquaredError().update(columns[2], columns[4])
    summary = DayMetrics().update(*columns).summary()
    assert (summary["brier"], summary["rmse"]) == (pytest.approx(state.value()), pytest.approx(state.rmse()))
    assert 0 < summary["equal_mass_ece"] < 0.2
    assert 0 <= summary["equal_mass_ece_bound"] < 0.02
    assert [DayMetrics().summary()[name] for name in ("brier", "rmse", "equal_mass_ece", "equal_mass_ece_bound")] == [
        None
    ] * 4


def test_auc_of_independent_rows_has_delongs_interval_and_of_clusters_the_bootstraps():
    alone = DayMetrics().update(*rows())
    found, _ = alone.intervals(False, 50, 10)
    expected = delong_interval(Auc().update(*rows()[2:4]))
    assert found["auc"] == {"low": expected.low, "high": expected.high}
    clustered, _ = DayMetrics().update(*rows(clusters=60)).intervals(True, 50, 10)
    by_rows, _ = DayMetrics().update(*rows(clusters=60)).intervals(False, 50, 10)
    assert clustered["auc"] == pytest.approx(clustered["served_auc"], abs=1e-12)
    assert clustered["auc"] != pytest.approx(by_rows["auc"], abs=1e-4)


def test_few_clicks_have_no_interval_and_the_notes_say_so():
    unit, groups, _, *scores = rows(100)
    label = np.arange(100) < 9
    assert DayMetrics().update(unit, groups, label, *scores).intervals(False, 20, 10) == (
        {},
        ["no intervals: 9 rows with clicks, 91 with non-clicks, limit 10 each"],
    )
    one_user = unit_identities([str(number) for number in range(100)], ["u"] * 100)
    assert DayMetrics().update(one_user, groups, np.arange(100) < 50, *scores).intervals(True, 20, 10)[1] == [
        "no intervals: 1 clusters with clicks, 1 with non-clicks, limit 10 each"
    ]
    assert DayMetrics().intervals(False, 20, 10)[1] == [
        "no intervals: 0 rows with clicks, 0 with non-clicks, limit 10 each"
    ]


def test_a_perfect_ranking_shows_no_spread():
    unit, groups, _, logit, *served = rows(100)
    found, notes = DayMetrics().update(unit, groups, logit > -1, logit, *served).intervals(False, 20, 10)
    assert notes == [f"no interval of {name}: the rows show no spread of it" for name in ("served_auc", "auc")]
    assert set(found) == HEADLINES - {"auc", "served_auc"}


def test_rows_without_a_cluster_are_drawn_alone():
    ids = [str(number) for number in range(4)]
    units = unit_identities(ids, ["u", None, "u", None])
    assert units[0] == units[2]
    assert len(set(units.tolist())) == 3
    assert len(set(unit_identities(ids).tolist())) == 4
    assert len(set(value_identities(["a", None, "missing", None, "a"]).tolist())) == 3
