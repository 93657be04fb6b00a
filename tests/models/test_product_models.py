"""ffm, kfm, kpnn, pnn_star: how each generalizes the inner products of fm and ipnn."""

import numpy as np
import pytest
from model_checks import LAYOUTS, SIZE, K, check_equation, small_model, some_ids
from numpy_models import backward, field_vectors, gradients, int32, linear, mlp, normalize, randomize, within

from pnn_gluon.blocks.kernel_product import KERNELS
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.normalization import NORMALIZATIONS
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.registry import create_model
from pnn_gluon.ops import plain_operators
from pnn_gluon.runtime import mx
from pnn_gluon.training.export import export_model, load_exported, predict_logits

SIZES = (1, 3, 2, 1)


def lr(layout, ids, values):
    return linear(layout, ids, values["linear.linear_weight"], values["linear.bias"])


def vectors(layout, ids, values):
    return field_vectors(layout, ids, values["embedding.embedding_weight"])


def pairs(n):
    return [(i, j) for j in range(n) for i in range(j)]


def ffm(layout, ids, values):
    n = layout.fields
    v = vectors(layout, ids, values).reshape(len(ids), n, n - 1, K)
    # Of the vectors of a field those for partners before it come first, those for partners after it follow.
    products = [(v[:, i, j - 1] * v[:, j, i]).sum(axis=1) for i, j in pairs(n)]
    return lr(layout, ids, values) + sum(products)


def kernel_products(v, weight, sizes):
    """(B, N, K) -> (B, P) by the first k_i numbers of the vectors alone."""
    products = []
    for (i, j), phi in zip(pairs(v.shape[1]), weight, strict=True):
        whole = phi if phi.ndim == 2 else np.eye(v.shape[2]) * phi
        products.append(
            np.einsum("bk,kl,bl->b", v[:, i, : sizes[i]], whole[: sizes[i], : sizes[j]], v[:, j, : sizes[j]])
        )
    return np.stack(products, axis=1)


def kfm(layout, ids, values, sizes=(K, K, K, K)):
    p = kernel_products(vectors(layout, ids, values), values["product.weight"], sizes)
    return lr(layout, ids, values) + p.sum(axis=1)


def kpnn(layout, ids, values, sizes=(K, K, K, K), normalization="none"):
    v, dense = vectors(layout, ids, values), within(values, "mlp")
    name = "product.weight" if normalization == "none" and "product.weight" in values else "product.0.weight"
    p = normalize(kernel_products(v, values[name], sizes), normalization, within(values, "product.1"))
    columns = [K * i + k for i, size in enumerate(sizes) for k in range(size)]
    z = np.concatenate([v.reshape(len(v), -1)[:, columns], p], axis=1)
    columns += range(K * len(sizes), K * len(sizes) + p.shape[1])
    dense = dense | {"layers.0.weight": dense["layers.0.weight"][:, columns]}
    return mlp(z, dense, 2, normalization=normalization)[:, 0]


def pnn_star(layout, ids, values, normalization="none"):
    v = vectors(layout, ids, values)
    inner = np.stack([(v[:, i] * v[:, j]).sum(axis=1) for i, j in pairs(layout.fields)], axis=1)
    outer = np.array([np.outer(f, f).ravel() for f in v.sum(axis=1)])
    parts = [
        v.reshape(len(v), -1),
        normalize(inner, normalization, within(values, "inner.1")),
        normalize(outer, normalization, within(values, "outer.1")),
    ]
    return mlp(np.concatenate(parts, axis=1), within(values, "mlp"), 2, normalization=normalization)[:, 0]


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("oracle", [ffm, pnn_star], ids=lambda oracle: oracle.__name__)
def test_logits_and_gradients_equal_the_equation(oracle, layout, hybrid):
    check_equation(oracle.__name__, oracle, layout, hybrid)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("oracle", [kfm, kpnn], ids=lambda oracle: oracle.__name__)
def test_logits_and_gradients_of_every_kernel_equal_the_equation(oracle, kernel, layout, hybrid):
    check_equation(oracle.__name__, oracle, layout, hybrid, kernel=kernel)


@pytest.mark.parametrize("oracle", [kfm, kpnn], ids=lambda oracle: oracle.__name__)
def test_the_default_kernel_is_the_matrix_and_works(oracle):
    check_equation(oracle.__name__, oracle, LAYOUTS["multi"], True)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("oracle", [kfm, kpnn], ids=lambda oracle: oracle.__name__)
def test_fields_with_sizes_of_their_own_are_truncated_vectors(oracle, kernel):
    def truncated(layout, ids, values):
        return oracle(layout, ids, values, SIZES)

    check_equation(oracle.__name__, truncated, LAYOUTS["multi"], True, kernel=kernel, embedding_sizes=SIZES)


@pytest.mark.parametrize("name", ["kfm", "kpnn"])
def test_numbers_beyond_the_size_of_a_field_get_no_gradient(name):
    net = small_model(name, LAYOUTS["single"], embedding_sizes=SIZES)
    randomize(net, 3)
    backward(net, [int32(np.array([[1, 2, 3, 4]]))], np.ones(1))
    gradient = gradients(net)["embedding.embedding_weight"]
    assert [np.flatnonzero(row).tolist() for row in gradient[1:5]] == [list(range(size)) for size in SIZES]


@pytest.mark.parametrize("name", ["kfm", "kpnn"])
def test_sizes_must_be_as_many_as_the_fields(name):
    with pytest.raises(ConfigError, match="embedding_sizes must have one size for each of the 4 fields"):
        small_model(name, LAYOUTS["single"], embedding_sizes=(1, 2))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("oracle", [kpnn, pnn_star], ids=lambda oracle: oracle.__name__)
def test_products_and_hidden_layers_are_normalized(oracle, normalization):
    def normalized(layout, ids, values):
        return oracle(layout, ids, values, normalization=normalization)

    check_equation(oracle.__name__, normalized, LAYOUTS["multi"], True, normalization=normalization)


def same_logits(net, sibling, changed):
    """The logits of both, once the net has the sibling's values and those changed."""
    randomize(net, 4), randomize(sibling, 5)
    common = {name: p.data() for name, p in sibling._collect_params_with_prefix().items()}
    for name, parameter in net._collect_params_with_prefix().items():
        if parameter.grad_req != "null":
            parameter.set_data(mx.nd.array(changed[name]) if name in changed else common[name])
    ids = int32(some_ids(LAYOUTS["multi"]))
    np.testing.assert_allclose(net(ids).asnumpy(), sibling(ids).asnumpy(), rtol=1e-4, atol=1e-5)


IDENTITIES = {
    "matrix": np.tile(np.eye(K), (6, 1, 1)),
    "vector": np.ones((6, K)),
    "number": np.ones((6, 1)),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_kfm_with_identity_kernels_is_fm(kernel):
    layout = LAYOUTS["multi"]
    net, fm = small_model("kfm", layout, kernel=kernel), small_model("fm", layout)
    same_logits(net, fm, {"product.weight": IDENTITIES[kernel]})


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("normalization", ["none", "layer"])
def test_kpnn_with_identity_kernels_is_ipnn(kernel, normalization):
    layout = LAYOUTS["multi"]
    net = small_model("kpnn", layout, kernel=kernel, normalization=normalization)
    ipnn = small_model("ipnn", layout, normalization=normalization)
    same_logits(net, ipnn, {"product.0.weight": IDENTITIES[kernel]})


def test_ffm_with_one_vector_for_all_partners_is_fm():
    layout = LAYOUTS["multi"]
    net, fm = small_model("ffm", layout), small_model("fm", layout)
    table = np.random.default_rng(6).normal(size=(SIZE, K))
    same_logits(fm, fm, {"embedding.embedding_weight": table})
    fm.embedding.embedding_weight.set_data(mx.nd.array(table))
    randomize(net, 7)
    net.linear.linear_weight.set_data(fm.linear.linear_weight.data())
    net.linear.bias.set_data(fm.linear.bias.data())
    net.embedding.embedding_weight.set_data(mx.nd.array(np.tile(table, (1, 3))))
    ids = int32(some_ids(layout))
    np.testing.assert_allclose(net(ids).asnumpy(), fm(ids).asnumpy(), rtol=1e-4, atol=1e-5)


def test_pnn_star_without_outer_products_in_its_first_layer_is_ipnn():
    layout = LAYOUTS["multi"]
    net, ipnn = small_model("pnn_star", layout), small_model("ipnn", layout)
    randomize(ipnn, 5)
    first = ipnn.mlp.layers[0].weight.data().asnumpy()
    blind = np.concatenate([first, np.zeros((len(first), K * K))], axis=1)
    same_logits(net, ipnn, {"mlp.layers.0.weight": blind})


@pytest.mark.parametrize("kernel", KERNELS)
def test_exported_kernels_and_sizes_give_the_bits_of_plain_operators(kernel, tmp_path):
    layout = LAYOUTS["multi"]
    net, ids = small_model("kpnn", layout, kernel=kernel, embedding_sizes=SIZES), some_ids(layout)
    randomize(net, 8)
    export_model(net, tmp_path, layout.slots)
    exported = predict_logits(load_exported(tmp_path), ids)
    np.testing.assert_allclose(exported, predict_logits(net, ids), rtol=1e-5, atol=1e-6)
    with plain_operators():
        net.hybridize(static_alloc=True)
        np.testing.assert_array_equal(exported, predict_logits(net, ids))


@pytest.mark.parametrize(
    ("name", "options", "weights"),
    [
        ("kfm", {"embedding_size": 20}, 1_000_000 * 21 + 741 * 400),
        ("kpnn", {"embedding_size": 20, "hidden": (700,) * 5}, 23_321_800),
        ("ffm", {"embedding_size": 1}, 1_000_000 * 39),
    ],
)
def test_weights_are_as_many_as_the_paper_counts(name, options, weights):
    """[PNN] Table 10, 1M ids and 39 fields: kfm 21.3 M, kpnn 23.3 M; ffm 38 vectors an id and a linear weight."""
    layout = FieldLayout.single_valued(tuple(f"field{i}" for i in range(39)))
    parameters = create_model(name, layout, 1_000_000, **options).collect_params()
    counted = [p.shape for n, p in parameters.items() if n.endswith("weight") and p.grad_req != "null"]
    assert sum(int(np.prod(shape)) for shape in counted) == weights
