import numpy as np
import pytest
from numpy_models import backward, field_vectors, finite_differences, gradients, int32, randomize

from pnn_gluon.blocks.id_table import is_row_parameter
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.linear_scores import LinearScores
from pnn_gluon.runtime import mx

LAYOUT = FieldLayout.from_widths({"a": 1, "tags": 3, "b": 1})
SIZE, SCORES = 9, 4


def some_ids():
    ids = np.random.default_rng(1).integers(1, SIZE, (6, LAYOUT.slots)).astype(np.int32)
    ids[0, 1:4], ids[1, 1:4], ids[2, 4] = 0, [0, 4, 0], 0
    return ids


@pytest.mark.parametrize("hybrid", [False, True])
def test_scores_are_sums_over_fields_of_mean_weights(hybrid):
    net, ids = LinearScores(LAYOUT, SIZE, SCORES), some_ids()
    values = randomize(net, 2)
    net.hybridize(active=hybrid)
    weights = np.random.default_rng(3).normal(size=(6, SCORES))
    oracle = lambda v: field_vectors(LAYOUT, ids, v["linear_weight"]).sum(axis=1) + v["bias"]  # noqa: E731
    found = backward(net, [int32(ids)], weights)
    np.testing.assert_allclose(found, oracle(values), rtol=1e-5, atol=1e-6)
    expected = finite_differences(lambda v: (oracle(v) * weights).sum(), values)
    for name, gradient in gradients(net).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_padding_row_never_contributes_and_gradients_are_sparse_rows_of_ids():
    net = LinearScores(LAYOUT, SIZE, SCORES)
    randomize(net, 4)
    net.linear_weight.data()[0] = 1e6
    found = backward(net, [int32(np.array([[5, 0, 0, 0, 2]]))], np.ones((1, SCORES)))
    assert np.abs(found).max() < 10
    assert net.linear_weight.grad().stype == "row_sparse"
    assert np.flatnonzero(gradients(net)["linear_weight"].any(axis=1)).tolist() == [2, 5]
    assert is_row_parameter(net.linear_weight.name)


def test_starting_scores_differ_and_fill_the_documented_range():
    net = LinearScores(LAYOUT, 2000, 3)
    mx.random.seed(1)
    net.initialize()
    columns = net.linear_weight.data().asnumpy().T
    bound = 0.1 / np.sqrt(3)
    assert (np.abs(columns).max(axis=1) > 0.99 * bound).all()
    assert np.abs(columns).max() <= np.float32(bound)
    assert not any(np.array_equal(columns[i], columns[j]) for i in range(3) for j in range(i))
