"""AUC within groups against each group's own AUC."""

import math

import numpy as np
import pytest

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.auc import Auc
from pnn_gluon.evaluation.grouped_auc import GroupedAuc, GroupedAucValue


def test_grouped_auc_is_the_mean_of_the_groups_by_impressions():
    rng = np.random.default_rng(1)
    group, score = rng.integers(0, 40, 800).astype(np.uint64), rng.normal(0, 1, 800).round(1)
    label, weight = rng.random(800) < 0.1, rng.integers(1, 4, 800)
    total = left_out = 0.0
    values = []
    for each in range(40):
        inside = group == each
        auc = Auc().update(label[inside], score[inside], weight[inside]).value()
        if math.isnan(auc):
            left_out += weight[inside].sum()
        else:
            total += weight[inside].sum()
            values.append(auc * weight[inside].sum())
    found = GroupedAuc().update(group, label, score, weight).value()
    assert 0 < len(values) < 40
    assert found.value == pytest.approx(sum(values) / total, abs=1e-12)
    assert (found.groups, found.rows) == (len(values), total)
    assert (found.one_class_groups, found.one_class_rows) == (40 - len(values), left_out)


def test_ranks_between_groups_do_not_count():
    group, label = np.array([1, 1, 2, 2], np.uint64), [0, 1, 0, 1]
    assert GroupedAuc().update(group, label, [0.1, 0.2, 0.8, 0.9]).value().value == 1.0
    assert Auc().update(label, [0.1, 0.2, 0.8, 0.9]).value() == 0.75


def test_nothing_is_undefined_and_said_to_be():
    assert GroupedAuc().value() == GroupedAucValue(pytest.approx(math.nan, nan_ok=True), 0, 0.0, 0, 0.0)
    one_class = GroupedAuc().update(np.array([1, 2], np.uint64), [0, 1], [0.1, 0.2]).value()
    assert math.isnan(one_class.value)
    assert (one_class.groups, one_class.one_class_groups, one_class.one_class_rows) == (0, 2, 2.0)


def test_a_group_for_each_row_is_expected():
    with pytest.raises(InputError, match=r"group: expected shape \(2,\), received \(1,\)"):
        GroupedAuc().update(np.array([1], np.uint64), [0, 1], [0.1, 0.2])
