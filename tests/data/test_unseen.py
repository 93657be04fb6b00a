import numpy as np
import pytest

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.data.unseen import Unseen, count_ids

LAYOUT = FieldLayout.from_widths({"site": 1, "tags": 3, "price": 1})
MISSING, OTHER = np.array([1, 3, 5], np.int32), np.array([2, 4, 0], np.int32)
ROW = np.array([7, 8, 9, 10, 11], np.int32)
ROWS = np.tile(ROW, (60_000, 1))


def planned(share=0.5, seed=1, own=()):
    """For rows without *other* and *missing* but those of `own`, id to number."""
    counts = np.zeros(12, np.int64)
    for key, rows in own:
        counts[key] = rows
    return Unseen.planned(LAYOUT, OTHER, MISSING, counts, len(ROWS), share=share, seed=seed)


def test_fields_of_chosen_rows_become_other_or_missing_as_often_as_said_and_the_rest_stays():
    seen = planned(0.3).applied(ROWS, (0, 0))
    for start, missing, other in ((0, 1, 2), (1, 3, 4), (4, 5, None)):
        assert (seen[:, start] == missing).mean() == pytest.approx(0.1, abs=0.008)
        if other is not None:
            assert (seen[:, start] == other).mean() == pytest.approx(0.1, abs=0.008)
        assert set(np.unique(seen[:, start])) == {missing, ROW[start]} | ({other} if other else set())
    assert (seen == ROW).all(axis=1).mean() == pytest.approx(0.7 + 0.3 / 3**2 * 2 / 3, abs=0.01)


def test_a_hidden_set_has_one_id_and_padding():
    seen = planned().applied(ROWS, (0,))
    hidden = seen[:, 1] < 7
    assert hidden.any()
    assert (seen[hidden, 2:4] == 0).all()
    np.testing.assert_array_equal(seen[~hidden, 1:4], ROWS[~hidden, 1:4])


def test_a_field_with_rows_of_its_own_keeps_them_as_they_are():
    enough = planned(0.3, own=((2, 6000), (1, 6000))).applied(ROWS, (0,))
    assert (enough[:, 0] == ROW[0]).all()
    assert (enough[:, 1] != ROW[1]).any()
    few = planned(0.3, own=((2, 5999), (1, 5999))).applied(ROWS, (0,))
    assert {1, 2} <= set(np.unique(few[:, 0]))


def test_draws_follow_seed_and_part_alone():
    first = planned().applied(ROWS, (0, 1))
    np.testing.assert_array_equal(first, planned().applied(ROWS, (0, 1)))
    assert (planned().applied(ROWS, (1, 1)) != first).any()
    assert (planned(seed=2).applied(ROWS, (0, 1)) != first).any()
    assert (ROWS == ROW).all(), "the rows given stay as they are"


def test_the_fingerprint_names_everything_the_draws_depend_on():
    plans = [planned(), planned(0.4), planned(seed=2), planned(own=((2, 60_000),)), planned(own=((1, 60_000),))]
    assert len({plan.fingerprint for plan in plans}) == len(plans)
    assert planned().fingerprint == planned().fingerprint


def test_ids_are_counted_over_batches():
    batches = [(np.array([[1, 2], [2, 0]], np.int32), None), (np.array([[2, 4]], np.int32), None)]
    np.testing.assert_array_equal(count_ids(batches, 6), [1, 1, 3, 0, 1, 0])
