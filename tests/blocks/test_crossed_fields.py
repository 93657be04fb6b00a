import numpy as np
import pytest
from numpy_models import backward, gradients, int32, randomize

from pnn_gluon.blocks.crossed_fields import CrossedFields, cross_bucket
from pnn_gluon.blocks.id_table import is_row_parameter
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import HybridBlock, mx
from pnn_gluon.training.export import export_model, load_exported, predict_logits

LAYOUT = FieldLayout.from_widths({"a": 1, "tags": 2, "b": 1, "c": 1})
SLOTS = {"a": 0, "b": 3, "c": 4}
CROSSES = (("a", "b"), ("c", "a"))
PRIME, LARGEST_ID = 2**31 - 1, 2**31 - 1


def bucket(a, b, buckets):
    """The documented rule in Python's integers, which have no limit."""
    g = (2_096_233 * a + b) % PRIME * 1_601_023 % PRIME
    return 1 + g * (1 + g % 2**21) % PRIME % buckets if a and b else 0


class Buckets(HybridBlock):
    """cross_bucket as a block, to trace it."""

    def __init__(self, buckets):
        super().__init__()
        self._buckets = buckets

    def hybrid_forward(self, F, first, second):
        return cross_bucket(F, first, second, self._buckets)


def large_ids(rows, columns, seed=1):
    """Ids from all of int32's range, its ends, and ids that float32 cannot hold."""
    random = np.random.default_rng(seed)
    ids = random.integers(1, LARGEST_ID, (rows, columns), endpoint=True).astype(np.int32)
    ids[:8] = random.choice([0, 1, 2**24 + 1, 2**30 + 1, LARGEST_ID - 1, LARGEST_ID], (8, columns))
    ids[8] = LARGEST_ID
    return ids


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("buckets", [1, 7, 65_536, 100_000, 2**31 - 2])
def test_buckets_equal_those_of_unlimited_integers_for_ids_up_to_the_largest(buckets, hybrid):
    net, ids = Buckets(buckets), large_ids(2000, 2)
    net.hybridize(active=hybrid)
    found = net(int32(ids[:, 0]), int32(ids[:, 1])).asnumpy()
    assert found.dtype == np.int32
    assert found.tolist() == [bucket(int(a), int(b), buckets) for a, b in ids]


def test_no_number_on_the_way_to_a_bucket_exceeds_what_float64_holds():
    assert max(2_096_233 * LARGEST_ID + LARGEST_ID, 1_601_023 * (PRIME - 1), 2**21 * (PRIME - 1)) < 2**52


@pytest.mark.parametrize("shape", [(2, 68_000), (400, 340), (13_600, 10)])
@pytest.mark.parametrize("buckets", [1000, 7313, 2**16, 100_000, 136_686, 1_438_889, 1_601_023, 2**21, 2_096_233])
def test_combinations_of_neighbouring_ids_spread_as_if_each_bucket_were_drawn(buckets, shape):
    start = 1_000_003
    a, b = np.meshgrid(np.arange(start, start + shape[0]), np.arange(start + shape[0], start + sum(shape)))
    found = cross_bucket(mx.nd, int32(a), int32(b), buckets).asnumpy().ravel()
    load = found.size / buckets
    used = buckets * -np.expm1(-load)  # expected number of buckets that get any
    deviation = np.sqrt(buckets * np.exp(-load) * -np.expm1(-load))  # at least the standard deviation of that number
    assert abs(len(np.unique(found)) - used) < 5 * deviation + 1
    assert np.bincount(found).max() < load + 6 * np.sqrt(load) + 10


def test_first_and_second_field_are_not_exchangeable():
    assert bucket(3, 4, 100_000) != bucket(4, 3, 100_000)
    found = cross_bucket(mx.nd, int32(np.array([3, 4])), int32(np.array([4, 3])), 100_000).asnumpy()
    assert found[0] != found[1]


def crossed(ids, tables, buckets):
    return np.array(
        [
            sum(
                table[where, 0]
                for (f, g), table in zip(CROSSES, tables, strict=True)
                if (where := bucket(int(row[SLOTS[f]]), int(row[SLOTS[g]]), buckets))
            )
            for row in ids
        ]
    )


@pytest.mark.parametrize("hybrid", [False, True])
def test_crossed_fields_add_the_weights_of_their_buckets_and_only_these_get_gradients(hybrid):
    net, ids, buckets = CrossedFields(LAYOUT, CROSSES, 11), large_ids(20, LAYOUT.slots), 11
    values = randomize(net, 2)
    tables = [values[f"pairs.{cross}.cross_weight"] for cross in range(2)]
    net.hybridize(active=hybrid, **({"static_alloc": True} if hybrid else {}))
    weights = np.random.default_rng(3).normal(size=20)
    found = backward(net, [int32(ids)], weights)
    np.testing.assert_allclose(found, crossed(ids, tables, buckets), rtol=1e-6, atol=1e-6)
    for cross, (f, g) in enumerate(CROSSES):
        expected = np.zeros((buckets + 1, 1))
        for row, weight in zip(ids, weights, strict=True):
            expected[bucket(int(row[SLOTS[f]]), int(row[SLOTS[g]]), buckets)] += weight
        expected[0] = 0
        np.testing.assert_allclose(gradients(net)[f"pairs.{cross}.cross_weight"], expected, rtol=1e-5, atol=1e-6)


def test_exported_crosses_give_the_same_bits_for_ids_that_float32_cannot_hold(tmp_path):
    net, ids = CrossedFields(LAYOUT, CROSSES, 1000), large_ids(50, LAYOUT.slots)
    randomize(net, 4)
    imperative = net(int32(ids)).asnumpy()
    export_model(net, tmp_path, LAYOUT.slots)
    np.testing.assert_array_equal(predict_logits(net, ids), imperative)
    np.testing.assert_array_equal(predict_logits(load_exported(tmp_path), ids), imperative)


def test_a_cross_with_padding_contributes_nothing_whatever_its_row_holds():
    net = CrossedFields(LAYOUT, CROSSES, 5)
    randomize(net, 5)
    for cross in net.pairs:
        cross.cross_weight.data()[0] = 1e6
    ids = np.array([[0, 0, 0, 3, 4], [2, 0, 0, 0, 0]])
    assert backward(net, [int32(ids)], np.ones(2)).tolist() == [0, 0]
    assert not any(gradient.any() for gradient in gradients(net).values())


def test_gradient_holds_each_distinct_bucket_of_the_batch_once():
    net = CrossedFields(LAYOUT, CROSSES[:1], 1000)
    randomize(net, 6)
    ids = np.array([[5, 1, 1, 7, 1], [6, 1, 1, 7, 1], [5, 2, 2, 7, 2]])
    backward(net, [int32(ids)], np.ones(3))
    gradient = net.pairs[0].cross_weight.grad()
    assert gradient.stype == "row_sparse"
    assert gradient.indices.asnumpy().tolist() == sorted({bucket(5, 7, 1000), bucket(6, 7, 1000)})


def test_crossed_weights_start_at_zero_and_are_no_rows_of_ids():
    net = CrossedFields(LAYOUT, CROSSES, 5)
    net.initialize()
    assert [name for name in net.collect_params() if is_row_parameter(name)] == []
    assert [parameter.shape for parameter in net.collect_params().values()] == [(6, 1), (6, 1)]
    assert not net(int32(np.array([[1, 0, 0, 3, 4]]))).asnumpy().any()


@pytest.mark.parametrize(
    ("crosses", "meant"),
    [
        ((), "one or more pairs"),
        ((("a", "bb"),), "no field 'bb', did you mean 'b'"),
        ((("a", "tags"),), r"'tags' is multi-valued \(width 2\)"),
        ((("a", "a"),), "two different fields"),
        ((("a", "b", "c"),), "two different fields"),
        ((("a", "b"), ("c", "b"), ("b", "a")), "given twice"),
    ],
)
def test_crosses_that_mean_nothing_are_refused(crosses, meant):
    with pytest.raises(ConfigError, match=meant):
        CrossedFields(LAYOUT, crosses, 5)


@pytest.mark.parametrize("buckets", [0, 2**31 - 1])
def test_buckets_out_of_range_are_refused(buckets):
    with pytest.raises(ConfigError, match=r"cross_buckets must be in \[1, 2147483646\]"):
        CrossedFields(LAYOUT, CROSSES, buckets)
