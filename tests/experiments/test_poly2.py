import numpy as np
import pytest

from pnn_gluon.errors import ConfigError
from pnn_gluon.experiments.poly2 import Poly2World, crossed_ids, random_sizes

SIZES = (3, 1, 4)


def test_scores_are_the_sum_over_categories_and_pairs():
    world = Poly2World.draw(SIZES, seed=1)
    ids, _ = world.rows(5, seed=2)
    for row, score in zip(ids, world.scores(ids), strict=True):
        c = row - 1
        expected = sum(world.linear[i] for i in c)
        expected += sum(world.pairs[c[i], c[j]] for i in range(3) for j in range(i + 1, 3))
        assert score == pytest.approx(expected)


def test_ids_lie_in_their_fields_and_follow_the_probabilities():
    world = Poly2World.draw(SIZES, seed=1)
    ids, _ = world.rows(20_000, seed=2)
    assert world.size == 9
    assert [(column.min(), column.max()) for column in ids.T] == [(1, 3), (4, 4), (5, 8)]
    shares = np.bincount(ids.ravel() - 1, minlength=8) / 20_000
    np.testing.assert_allclose(shares, world.probabilities, atol=0.015)


def test_labels_are_balanced_and_without_noise_decided_by_the_threshold():
    world = Poly2World.draw((5,) * 6, noise=0.0, seed=3)
    ids, label = world.rows(5000, seed=4)
    np.testing.assert_array_equal(label, world.scores(ids) >= world.threshold)
    assert label.mean() == pytest.approx(0.5, abs=0.03)


def test_noise_changes_some_labels():
    world = Poly2World.draw((5,) * 6, noise=2.0, seed=3)
    ids, label = world.rows(2000, seed=4)
    assert 0.02 < np.mean(label != (world.scores(ids) >= world.threshold)) < 0.5


def test_rows_are_those_of_the_seed():
    first, second = (Poly2World.draw(SIZES, seed=1).rows(50, seed=s) for s in (1, 2))
    again = Poly2World.draw(SIZES, seed=1).rows(50, seed=1)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], second[0])


def test_every_pair_of_categories_has_a_crossed_id_of_its_own():
    everything = np.array([[a, 4, b] for a in (1, 2, 3) for b in (5, 6, 7, 8)], np.int32)
    crossed = crossed_ids(everything, 9)
    assert crossed.shape == (12, 6)
    names = {}
    for row, ids in zip(everything, crossed, strict=True):
        for number, (i, j) in enumerate([(0, 1), (0, 2), (1, 2)]):
            names.setdefault(ids[3 + number], set()).add((row[i], row[j]))
    assert all(len(pairs) == 1 for pairs in names.values())
    assert len(names) == 3 + 12 + 4
    assert min(names) >= 9
    assert max(names) < 9 + 8 * 8


def test_random_sizes_average_the_categories_of_a_field():
    sizes = random_sizes(4000, 400, seed=1)
    assert min(sizes) >= 1
    assert max(sizes) <= 20
    assert np.mean(sizes) == pytest.approx(10.5, abs=1)


def test_empty_fields_are_refused():
    with pytest.raises(ConfigError, match="one category or more"):
        Poly2World.draw((3, 0))
