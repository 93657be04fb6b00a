import numpy as np
import pytest
from numpy_models import check_vectors, inner_products

from pnn_gluon.blocks.fm_interaction import FMInteraction
from pnn_gluon.blocks.inner_product import InnerProduct
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx

N, K = 4, 3
LAYOUT = FieldLayout.single_valued(("a", "b", "c", "d"))
BLOCKS = {
    "inner": (lambda: InnerProduct(LAYOUT), inner_products),
    "fm": (lambda: FMInteraction(LAYOUT, K), lambda v: inner_products(v).sum(axis=1)),
}


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("name", BLOCKS)
def test_products_and_their_gradients_equal_the_formula(name, hybrid):
    make, oracle = BLOCKS[name]
    check_vectors(make(), oracle, (5, N, K), hybrid)


def test_pairs_come_in_the_order_12_13_23_14_24_34():
    v = mx.nd.array(np.array([[[2.0], [3.0], [5.0], [7.0]]]))
    assert InnerProduct(LAYOUT)(v).asnumpy().tolist() == [[6, 10, 15, 14, 21, 35]]


def test_fm_interaction_is_the_sum_of_the_inner_products():
    v = mx.nd.array(np.random.default_rng(2).normal(size=(50, N, K)))
    fm = FMInteraction(LAYOUT, K)
    fm.initialize()
    np.testing.assert_allclose(fm(v).asnumpy(), InnerProduct(LAYOUT)(v).asnumpy().sum(axis=1), rtol=1e-4, atol=1e-5)


def test_one_field_has_no_pairs_to_multiply():
    with pytest.raises(ConfigError, match="two fields"):
        InnerProduct(FieldLayout.single_valued(("a",)))
