"""Kernel products of all pairs, native and plain."""

import numpy as np
import pytest
from ops_checks import check_twins
from test_dense import bfloat16

from pnn_gluon.blocks.kernel_product import KERNELS, KernelProduct
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.ops import dense_precision, native_operators
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


def oracle(v, phi, dp, rounded):
    """Products and gradients of v and phi in float64, of operands rounded where they are multiplied."""
    fields = v.shape[1]
    pairs = [(i, j) for j in range(1, fields) for i in range(j)]
    p, dv, d_phi = np.empty(dp.shape), np.zeros(v.shape), np.empty(phi.shape)
    for pair, (i, j) in enumerate(pairs):
        kernel, d = rounded(phi[pair]).astype(np.float64), dp[:, pair, None].astype(np.float64)
        projected = rounded(v[:, i]).astype(np.float64) @ kernel
        p[:, pair] = (projected * v[:, j]).sum(axis=1)
        dv[:, j] += d * projected
        dv[:, i] += d * (rounded(v[:, j]).astype(np.float64) @ kernel.T)
        d_phi[pair] = rounded(d * v[:, i]).T.astype(np.float64) @ rounded(v[:, j]).astype(np.float64)
    return p, dv, d_phi


@pytest.mark.parametrize("precision", ["f32", "x3", "bf16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_matrix_kernels_equal_the_formula_in_every_precision(shape, precision):
    assert native_operators()
    rows, fields, size = shape
    draws = np.random.default_rng(1)
    sizes = (shape, (fields * (fields - 1) // 2, size, size), (rows, fields * (fields - 1) // 2))
    v, phi, dp = (draws.normal(size=each).astype(np.float32) for each in sizes)
    inputs = [mx.nd.array(v), mx.nd.array(phi)]
    for each in inputs:
        each.attach_grad()
    with mx.autograd.record():
        p = mx.nd.pnn_kernel_products(*inputs, precision=precision)
    p.backward(mx.nd.array(dp))
    rounded = bfloat16 if precision == "bf16" else np.asarray
    for found, wanted in zip((p, *(each.grad for each in inputs)), oracle(v, phi, dp, rounded), strict=True):
        assert np.linalg.norm(found.asnumpy() - wanted) < 2e-6 * np.linalg.norm(wanted)


def test_bf16_hides_no_vector_that_is_not_a_number():
    assert native_operators()
    v, phi = np.ones((70, 4, 5), np.float32), np.ones((6, 5, 5), np.float32)
    v[67, 2, 4] = np.nan
    p = mx.nd.pnn_kernel_products(mx.nd.array(v), mx.nd.array(phi), precision="bf16").asnumpy()
    assert np.isnan(p[67]).tolist() == [2 in {i, j} for j in range(4) for i in range(j)]
    assert not np.isnan(np.delete(p, 67, axis=0)).any()


def test_an_unknown_precision_is_refused():
    assert native_operators()
    with pytest.raises(mx.MXNetError, match="precision must be f32, x3 or bf16, not f16"):
        mx.nd.pnn_kernel_products(mx.nd.ones((2, 3, 4)), mx.nd.ones((3, 4, 4)), precision="f16").wait_to_read()


def test_the_block_takes_the_precision_of_dense_layers():
    with dense_precision("bf16"):
        assert 'precision": "bf16"' in KernelProduct(layout(3), 4)(mx.sym.var("v")).tojson()
