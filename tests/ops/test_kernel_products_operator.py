"""Kernel products of all pairs, native and plain."""

import numpy as np
import pytest
from ops_checks import check_twins

from pnn_gluon.blocks.kernel_product import KERNELS, KernelProduct
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.runtime import mx

SHAPES = [
    (1, 2, 1),
    (3, 3, 5),
    (2, 5, 16),
    (65, 4, 7),
    (33, 17, 20),
    (300, 6, 20),
    (1100, 3, 20),
    (70, 4, 33),
    (32, 3, 11),
]


def layout(fields):
    return FieldLayout.single_valued(tuple(f"f{i}" for i in range(fields)))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", SHAPES)
def test_native_equals_plain(shape, kernel):
    check_twins(lambda: KernelProduct(layout(shape[1]), shape[2], kernel), [shape])


@pytest.mark.parametrize("kernel", KERNELS)
def test_not_a_number_stays_one(kernel):
    v = np.ones((3, 5, 4), np.float32)
    v[1, 2, 3] = np.nan
    block = KernelProduct(layout(5), 4, kernel)
    block.initialize()
    products = block(mx.nd.array(v)).asnumpy()
    assert np.isnan(products[1]).tolist() == [i == 2 or j == 2 for j in range(5) for i in range(j)]
    assert not np.isnan(products[[0, 2]]).any()


@pytest.mark.parametrize(
    ("vectors", "weight", "kernel"),
    [
        ((4, 3), (3, 3), "vector"),
        ((4, 1, 3), (1, 3), "vector"),
        ((4, 3, 2), (3, 2), "mat"),
        ((4, 3, 2), (4, 2), "vector"),
    ],
)
def test_what_does_not_fit_is_refused(vectors, weight, kernel):
    with pytest.raises(mx.MXNetError):
        mx.nd.pnn_kernel_products(mx.nd.ones(vectors), mx.nd.ones(weight), kernel=kernel).wait_to_read()
