"""A small network for each pair of fields, native and plain."""

import numpy as np
import pytest
from ops_checks import check_twins

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.pair_network import SUBNET_NORMALIZATIONS, PairNetwork
from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import mx


def block(n, k, h, d, **options):
    layout = FieldLayout.single_valued(tuple(f"field{i}" for i in range(n)))
    return PairNetwork(layout, k, h, d, **options)


SIZES = [  # B, N, K, H, D
    (1, 2, 1, 2, 1),
    (3, 3, 5, 7, 2),
    (5, 4, 3, 5, 1),
    (64, 3, 15, 33, 3),
    (65, 4, 16, 13, 7),
    (70, 5, 17, 40, 5),
    (130, 3, 20, 64, 13),
    (700, 6, 7, 11, 2),
]


@pytest.mark.parametrize("output_bias", [True, False])
@pytest.mark.parametrize("products", [True, False])
@pytest.mark.parametrize("normalization", SUBNET_NORMALIZATIONS)
@pytest.mark.parametrize("size", SIZES)
def test_native_equals_plain(size, normalization, products, output_bias):
    b, n, k, h, d = size
    options = {"products": products, "normalization": normalization, "output_bias": output_bias}
    check_twins(lambda: block(n, k, h, d, **options), [(b, n, k)])


@pytest.mark.parametrize("normalization", SUBNET_NORMALIZATIONS)
def test_a_vector_that_is_not_a_number_is_seen_in_the_outputs_and_gradients_of_its_row(normalization):
    assert native_operators()
    net = block(4, 3, 5, 2, normalization=normalization)
    net.initialize()
    v = mx.nd.array(np.random.default_rng(1).normal(size=(5, 4, 3)))
    v[2, 1, 0] = np.nan
    v.attach_grad()
    with mx.autograd.record():
        output = net(v)
    output.backward()
    touched = np.isnan(output.asnumpy()).reshape(5, 6, 2).any(axis=2)
    with_field = np.array([True, False, True, False, True, False])  # 12, 13, 23, 14, 24, 34
    np.testing.assert_array_equal(touched[2], with_field | (normalization == "fused"))
    assert not touched[[0, 1, 3, 4]].any()
    assert np.isnan(v.grad.asnumpy()[2]).any()
    assert np.isnan(net.hidden_weight.grad().asnumpy()).any()
    assert not np.isnan(v.grad.asnumpy()[[0, 1, 3, 4]]).any()


def test_shapes_that_do_not_fit_are_refused():
    net = block(4, 3, 5, 2)
    net.initialize()
    with pytest.raises(mx.MXNetError, match="input 1 must be"):
        net(mx.nd.ones((2, 4, 6)))


@pytest.mark.parametrize("normalization", SUBNET_NORMALIZATIONS)
def test_results_do_not_change_from_call_to_call(normalization):
    net = block(5, 4, 6, 3, normalization=normalization)
    net.initialize()
    net.hybridize(static_alloc=True)
    v = mx.nd.array(np.random.default_rng(1).normal(size=(300, 5, 4)))
    v.attach_grad()
    results = []
    for _ in range(3):
        with mx.autograd.record():
            output = net(v)
        output.backward()
        results.append([output.asnumpy(), v.grad.asnumpy(), net.hidden_weight.grad().asnumpy()])
    for other in results[1:]:
        for first, again in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(first, again)
