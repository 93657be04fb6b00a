"""Inner products of all pairs, native and plain."""

import numpy as np
import pytest
from ops_checks import check_twins

from pnn_gluon.blocks.inner_product import InnerProduct
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.runtime import mx

SHAPES = [
    (1, 2, 1),
    (3, 3, 5),
    (2, 5, 16),
    (65, 4, 7),
    (7, 17, 20),
    (130, 39, 20),
    (3, 36, 33),
    (2, 70, 3),
    (2, 6, 150),
]


def layout(fields):
    return FieldLayout.single_valued(tuple(f"f{i}" for i in range(fields)))


@pytest.mark.parametrize("shape", SHAPES)
def test_native_equals_plain(shape):
    check_twins(lambda: InnerProduct(layout(shape[1])), [shape])


def test_not_a_number_stays_one():
    v = np.ones((3, 5, 4), np.float32)
    v[1, 2, 3] = np.nan
    products = InnerProduct(layout(5))(mx.nd.array(v)).asnumpy()
    assert np.isnan(products[1]).tolist() == [i == 2 or j == 2 for j in range(5) for i in range(j)]
    assert not np.isnan(products[[0, 2]]).any()


@pytest.mark.parametrize("shape", [(4, 3), (4, 1, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(mx.MXNetError, match="pnn_inner_products"):
        mx.nd.pnn_inner_products(mx.nd.ones(shape)).wait_to_read()
