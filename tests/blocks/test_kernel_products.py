import numpy as np
import pytest
from numpy_models import backward, batch_norm, finite_differences, gradients, randomize

from pnn_gluon.blocks.embedding import AdaptiveSizes
from pnn_gluon.blocks.field_aware_product import FieldAwareProduct
from pnn_gluon.blocks.field_sizes import field_sizes
from pnn_gluon.blocks.inner_product import InnerProduct
from pnn_gluon.blocks.kernel_product import KERNELS, KernelProduct
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.outer_product import OuterProduct
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx

LAYOUT = FieldLayout.single_valued(("a", "b", "c", "d"))


def kernel_products(v, weight, kernel):
    """(B, N, K), kernels in the order 12, 13, 23, 14, ... -> (B, P)."""
    pairs = [(i, j) for j in range(v.shape[1]) for i in range(j)]
    whole = {"matrix": lambda phi: phi, "vector": np.diag, "number": lambda phi: phi[0] * np.eye(v.shape[2])}[kernel]
    return np.array([[x[i] @ whole(phi) @ x[j] for (i, j), phi in zip(pairs, weight, strict=True)] for x in v])


def field_aware(v):
    """(B, N, N-1, K) -> (B,): the vectors of a field in the order of its partners."""

    def meets(x, field, partner):
        partners = [other for other in range(len(x)) if other != field]
        return x[field, partners.index(partner)]

    return np.array([sum(meets(x, i, j) @ meets(x, j, i) for j in range(len(x)) for i in range(j)) for x in v])


def outer(v):
    """(B, N, K) -> (B, K K): over all pairs of fields, a field with itself included."""
    return np.array([sum(np.outer(a, b) for a in x for b in x).ravel() for x in v])


def values(shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32).astype(np.float64)


def check(net, formula, shape, hybrid):
    """Outputs of the block, gradients of its input and of its parameters equal those of formula(v, parameters)."""
    known = randomize(net, 2) | {"v": values(shape)}
    net.hybridize(active=hybrid)
    x = mx.nd.array(known["v"])
    x.attach_grad()
    expected = formula(known)
    weights = values(expected.shape, seed=3)
    np.testing.assert_allclose(backward(net, [x], weights), expected, rtol=1e-5, atol=1e-5)
    slopes = finite_differences(lambda changed: (formula(changed) * weights).sum(), known)
    for name, gradient in (gradients(net) | {"v": x.grad.asnumpy()}).items():
        np.testing.assert_allclose(gradient, slopes[name], rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("fields", [2, 5])
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_products_and_their_gradients_equal_the_formula(kernel, size, fields, hybrid):
    net = KernelProduct(FieldLayout.single_valued(tuple("abcde"[:fields])), size, kernel)
    check(net, lambda known: kernel_products(known["v"], known["weight"], kernel), (3, fields, size), hybrid)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("fields", [2, 5])
def test_field_aware_products_and_their_gradients_equal_the_formula(fields, hybrid):
    net = FieldAwareProduct(FieldLayout.single_valued(tuple("abcde"[:fields])), 2)
    shape = (3, fields, (fields - 1) * 2)
    check(net, lambda known: field_aware(known["v"].reshape(3, fields, fields - 1, 2)), shape, hybrid)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("fields", [1, 4])
def test_outer_products_and_their_gradients_equal_the_formula(fields, hybrid):
    net = OuterProduct(FieldLayout.single_valued(tuple("abcd"[:fields])), 3)
    check(net, lambda known: outer(known["v"]), (3, fields, 3), hybrid)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
def test_batch_normalization_of_fewer_rows_than_pairs_leaves_gradients_whole(kernel, hybrid):
    net = mx.gluon.nn.HybridSequential()
    net.add(KernelProduct(LAYOUT, 3, kernel), mx.gluon.nn.BatchNorm(in_channels=6, epsilon=1e-5))

    def formula(known):
        return batch_norm(kernel_products(known["v"], known["0.weight"], kernel), known["1.gamma"], known["1.beta"])

    check(net, formula, (5, 4, 3), hybrid)


def test_kernels_come_in_the_order_of_the_pairs():
    net = KernelProduct(LAYOUT, 1, "number")
    net.initialize()
    net.weight.set_data(mx.nd.array([[1], [10], [100], [1000], [10000], [100000]]))
    v = mx.nd.array([[[2], [3], [5], [7]]])
    assert net(v).asnumpy().tolist() == [[6, 100, 1500, 14000, 210000, 3500000]]


def test_a_kernel_matrix_multiplies_the_first_field_from_the_left():
    net = KernelProduct(FieldLayout.single_valued(("a", "b")), 2)
    net.initialize()
    net.weight.set_data(mx.nd.array([[[0, 1], [0, 0]]]))
    assert net(mx.nd.array([[[2, 3], [5, 7]]])).asscalar() == 2 * 7


def identity(kernel, pairs, size):
    return {
        "matrix": np.tile(np.eye(size), (pairs, 1, 1)),
        "vector": np.ones((pairs, size)),
        "number": np.ones((pairs, 1)),
    }[kernel]


@pytest.mark.parametrize("kernel", KERNELS)
def test_identity_kernels_give_inner_products(kernel):
    v = mx.nd.array(values((4, 4, 3)))
    net = KernelProduct(LAYOUT, 3, kernel)
    net.initialize()
    net.weight.set_data(mx.nd.array(identity(kernel, 6, 3)))
    np.testing.assert_allclose(net(v).asnumpy(), InnerProduct(LAYOUT)(v).asnumpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_start_near_the_identity(kernel):
    net = KernelProduct(LAYOUT, 3, kernel)
    mx.random.seed(1)
    net.initialize()
    noise = net.weight.data().asnumpy() - identity(kernel, 6, 3)
    assert np.abs(noise).min() > 0
    assert np.abs(noise).max() <= 0.1 + 1e-6  # sqrt(3 / 3) / 10


@pytest.mark.parametrize("hybrid", [False, True])
def test_the_kernel_is_a_matrix_unless_another_is_asked_for(hybrid):
    net = KernelProduct(LAYOUT, 3)
    assert net.weight.shape == (6, 3, 3)
    check(net, lambda known: kernel_products(known["v"], known["weight"], "matrix"), (2, 4, 3), hybrid)


def test_field_aware_vectors_come_in_the_order_of_the_partners():
    layout = FieldLayout.single_valued(("a", "b", "c"))
    net = FieldAwareProduct(layout, 1)
    net.initialize()
    # a meets b, c; b meets a, c; c meets a, b
    v = mx.nd.array([[[2, 3], [5, 7], [11, 13]]])
    assert net(v).asscalar() == 2 * 5 + 3 * 11 + 7 * 13


def test_outer_product_of_two_fields_holds_both_orders_of_the_pair():
    net = OuterProduct(FieldLayout.single_valued(("a", "b")), 2)
    net.initialize()
    assert net(mx.nd.array([[[1, 0], [0, 1]]])).asnumpy().tolist() == [[1, 1, 1, 1]]


def test_unknown_kernel_is_refused():
    with pytest.raises(ConfigError, match="matrix, vector, number, not 'mat'"):
        KernelProduct(LAYOUT, 3, "mat")


@pytest.mark.parametrize("make", [KernelProduct, FieldAwareProduct])
def test_one_field_has_no_pairs_to_multiply(make):
    with pytest.raises(ConfigError, match="two fields"):
        make(FieldLayout.single_valued(("a",)), 3)


def test_without_sizes_vectors_stay_whole():
    v = mx.nd.array(values((2, 4, 3)))
    np.testing.assert_array_equal(field_sizes(LAYOUT, (), 3)(v).asnumpy(), v.asnumpy())


def test_each_field_needs_a_size_once_there_are_sizes():
    assert isinstance(field_sizes(LAYOUT, (1, 2, 3, 3), 3), AdaptiveSizes)
    with pytest.raises(ConfigError, match=r"each of the 4 fields a, b, c, d, not 3: \(1, 2, 3\)"):
        field_sizes(LAYOUT, (1, 2, 3), 3)
