"""DeLong's standard error against its definition by pairs, and against the bootstrap."""

import numpy as np
import pytest

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.auc import Auc
from pnn_gluon.evaluation.bootstrap import bootstrap, paired_bootstrap
from pnn_gluon.evaluation.delong import delong_error, delong_interval, paired_delong


def scored(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1.2, rows)
    label = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
    return label, (logit + rng.normal(0, 0.5, rows)).round(1), (logit + rng.normal(0, 1, rows)).round(1)


def components(label, score):
    """Placements of positives and of negatives, pair by pair."""
    positive, negative = score[label == 1], score[label == 0]
    wins = (positive[:, None] > negative) + (positive[:, None] == negative) / 2
    return wins.mean(1), wins.mean(0)


def error_by_pairs(label, *scores):
    """Of the AUC of one score, or of the difference of two."""
    above, below = components(label, scores[0])
    if len(scores) == 2:
        above, below = above - components(label, scores[1])[0], below - components(label, scores[1])[1]
    return np.sqrt(above.var(ddof=1) / above.size + below.var(ddof=1) / below.size)


def test_standard_error_follows_its_definition():
    label, score, _ = scored()
    assert delong_error(Auc().update(label, score)) == pytest.approx(error_by_pairs(label, score), rel=1e-12)


def test_paired_difference_follows_its_definition():
    label, first, second = scored()
    found = paired_delong(label, first, second)
    expected = components(label, first)[0].mean() - components(label, second)[0].mean()
    assert found.difference == pytest.approx(expected, abs=1e-12)
    assert found.high - found.difference == pytest.approx(1.959964 * error_by_pairs(label, first, second), rel=1e-5)
    assert found.high - found.difference == pytest.approx(found.difference - found.low)


def test_weights_count_as_repeated_rows():
    label, first, second = scored()
    weight = np.random.default_rng(1).integers(0, 4, label.size)
    repeated = [np.repeat(each, weight) for each in (label, first, second)]
    weighted = paired_delong(label, first, second, weight=weight)
    assert vars(weighted) == pytest.approx(vars(paired_delong(*repeated)), abs=1e-12)
    auc = Auc().update(label, first, weight)
    assert delong_error(auc) == pytest.approx(delong_error(Auc().update(*repeated[:2])), rel=1e-12)


def test_bootstrap_of_independent_rows_says_about_the_same():
    label, first, second = scored(3000)
    one, pair = delong_interval(Auc().update(label, first)), paired_delong(label, first, second)
    assert one is not None
    drawn = bootstrap(label, first, "auc", 400, seed=1), paired_bootstrap(label, first, second, "auc", 400, seed=1)
    assert drawn[0].value == one.value
    assert [drawn[0].low, drawn[0].high] == pytest.approx([one.low, one.high], abs=0.12 * (one.high - one.low))
    assert [drawn[1].low, drawn[1].high] == pytest.approx([pair.low, pair.high], abs=0.12 * (pair.high - pair.low))


@pytest.mark.parametrize(
    ("label", "score"), [([0, 1], [1, 2]), ([0, 0, 1, 1], [1, 2, 3, 4]), ([0, 0], [1, 2]), ([], [])]
)
def test_there_is_no_interval_where_the_data_show_no_spread(label, score):
    assert delong_interval(Auc().update(label, score)) is None


def test_one_row_of_a_class_tells_nothing_about_a_difference():
    with pytest.raises(
        InputError, match="expected two rows or more of both classes, received 1 clicks and 2 non-clicks"
    ):
        paired_delong([0, 1, 0], [1, 2, 3], [1, 2, 3])
