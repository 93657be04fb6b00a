"""bi_interaction and third_order: sums of products of two and of three field vectors by power sums."""

from itertools import combinations

import numpy as np
import pytest
from numpy_models import check_vectors

from pnn_gluon.blocks.bi_interaction import BiInteraction
from pnn_gluon.blocks.fm_interaction import FMInteraction
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.third_order import ThirdOrder
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx

N, K = 5, 3
LAYOUT = FieldLayout.single_valued(("a", "b", "c", "d", "e"))
BLOCKS = {
    "pairs": (BiInteraction, lambda v: sum(v[:, i] * v[:, j] for i, j in combinations(range(N), 2))),
    "triples": (
        ThirdOrder,
        lambda v: sum((v[:, i] * v[:, j] * v[:, k]).sum(axis=1) for i, j, k in combinations(range(N), 3)),
    ),
}


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("name", BLOCKS)
def test_power_sums_and_their_gradients_equal_the_sum_over_combinations(name, hybrid):
    make, oracle = BLOCKS[name]
    check_vectors(make(LAYOUT, K), oracle, (4, N, K), hybrid)


def test_the_only_triple_of_three_fields_is_their_product():
    block = ThirdOrder(FieldLayout.single_valued(("a", "b", "c")), 2)
    block.initialize()
    assert block(mx.nd.array([[[2, 1], [3, 1], [5, -4]]])).asscalar() == 2 * 3 * 5 + 1 * 1 * -4


def test_pooled_pairs_add_up_to_the_fm_interaction():
    v = mx.nd.array(np.random.default_rng(2).normal(size=(50, N, K)))
    pooled, fm = BiInteraction(LAYOUT, K), FMInteraction(LAYOUT, K)
    for block in (pooled, fm):
        block.initialize()
    np.testing.assert_allclose(pooled(v).asnumpy().sum(axis=1), fm(v).asnumpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("make", "names", "meant"), [(BiInteraction, "a", "two"), (ThirdOrder, "ab", "three")])
def test_fields_too_few_for_a_product_are_refused(make, names, meant):
    with pytest.raises(ConfigError, match=f"{meant} fields or more"):
        make(FieldLayout.single_valued(tuple(names)), K)
