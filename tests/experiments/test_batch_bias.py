import numpy as np
import pytest

from pnn_gluon.experiments.batch_bias import BiasPoint, batch_bias, bias_curves, draw_rows


def test_rows_hold_ten_distinct_ids():
    rows = draw_rows(50, 2100, seed=3)
    assert rows.shape == (2100, 10)
    assert rows.min() >= 0
    assert rows.max() < 50
    assert all(len(set(row)) == 10 for row in rows)


def test_rows_are_those_of_the_seed():
    assert np.array_equal(draw_rows(30, 20, seed=1), draw_rows(30, 20, seed=1))
    assert not np.array_equal(draw_rows(30, 20, seed=1), draw_rows(30, 20, seed=2))


def test_a_batch_of_all_rows_has_no_bias():
    rows = draw_rows(40, 300, seed=1)
    assert batch_bias(rows, 40, 300, batches=2) == pytest.approx(0, abs=1e-9)


def test_bias_of_one_row_by_hand():
    rows = np.array([[0, 1]] * 3 + [[2, 3]], np.int32)
    batch = np.random.default_rng((5, 1)).choice(4, 1, replace=False)[0]
    q, p = np.array([3, 3, 1, 1]) / 8, (np.array([1, 1, 0, 0]) if batch < 3 else np.array([0, 0, 1, 1])) / 2
    expected = sum(a * np.log((a + 1e-8) / (b + 1e-8)) for a, b in zip(q, p, strict=True))
    assert batch_bias(rows, 4, 1, batches=1, seed=5) == pytest.approx(expected)


def test_bias_grows_with_sparsity_and_dropout_and_falls_with_the_batch():
    by_ids = {p.ids: p.bias for p in bias_curves((200, 800), (0.0,), (100,), rows=1000)}
    assert by_ids[800] > by_ids[200]
    by_dropout = {p.dropout: p.bias for p in bias_curves((200,), (0.0, 0.5), (100,), rows=1000)}
    assert by_dropout[0.5] > by_dropout[0.0]
    first, second = bias_curves((200,), (0.0,), (100, 500), rows=1000)
    assert (first, second) == (BiasPoint(200, 100, 0.0, first.bias), BiasPoint(200, 500, 0.0, second.bias))
    assert first.bias > second.bias
