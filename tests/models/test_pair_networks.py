"""nifm, pin: a network for each pair of fields."""

import numpy as np
import pytest
from model_checks import LAYOUTS, SIZE, K, check_equation, small_model, some_ids
from numpy_models import NORMALIZATIONS, backward, field_vectors, gradients, int32, linear, mlp, randomize, within

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.pair_network import SUBNET_NORMALIZATIONS
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.registry import create_model
from pnn_gluon.runtime import mx

SIZES = (1, 3, 2, 3)


def relu(x):
    return np.maximum(x, 0)


def nifm(layout, ids, values, sizes=(K,) * 4):
    logits = linear(layout, ids, values["linear.linear_weight"], values["linear.bias"])
    for row, v in enumerate(field_vectors(layout, ids, values["embedding.embedding_weight"])):
        pair = 0
        for j in range(len(v)):
            for i in range(j):
                logits[row] += _micro_network(v[i][: sizes[i]], v[j][: sizes[j]], pair, values)
                pair += 1
    return logits


def _micro_network(left, right, pair, values):
    """relu([v_i, v_j] W1 + b1) w2 of vectors of their own sizes, which meet their rows of W1 alone."""
    w1, b1 = values["product.hidden_weight"][pair], values["product.hidden_bias"][pair]
    w2 = values["product.output_weight"][pair][:, 0]
    return relu(left @ w1[: len(left)] + right @ w1[K : K + len(right)] + b1) @ w2


def pin(layout, ids, values, subnet_normalization="fused", normalization="none"):
    subnets = [
        np.concatenate(list(_subnets(v, within(values, "product"), subnet_normalization)))
        for v in field_vectors(layout, ids, values["embedding.embedding_weight"])
    ]
    return mlp(np.array(subnets), within(values, "mlp"), 2, normalization=normalization)[:, 0]


def _subnets(v, values, normalization):
    pairs = [(i, j) for j in range(len(v)) for i in range(j)]
    units = [
        np.concatenate([v[i], v[j], v[i] * v[j]]) @ values["hidden_weight"][p] + values["hidden_bias"][p]
        for p, (i, j) in enumerate(pairs)
    ]
    everything = np.concatenate(units)
    for p, u in enumerate(units):
        if normalization == "fused":
            u = (u - everything.mean()) / np.sqrt(everything.var() + 1e-5) * values["gamma"] + values["beta"]
        if normalization == "layer":
            u = (u - u.mean()) / np.sqrt(u.var() + 1e-5) * values["gamma"][p] + values["beta"][p]
        yield relu(u) @ values["output_weight"][p] + values["output_bias"][p]


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("oracle", [nifm, pin], ids=lambda oracle: oracle.__name__)
def test_logits_and_gradients_equal_the_equation(oracle, layout, hybrid):
    check_equation(oracle.__name__, oracle, layout, hybrid)


@pytest.mark.parametrize("subnet_normalization", SUBNET_NORMALIZATIONS)
def test_pin_normalizes_the_subnets_as_asked(subnet_normalization):
    def oracle(layout, ids, values):
        return pin(layout, ids, values, subnet_normalization)

    check_equation("pin", oracle, LAYOUTS["multi"], True, subnet_normalization=subnet_normalization)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_pin_normalizes_the_hidden_layers_and_not_the_outputs_of_the_subnets(normalization):
    def oracle(layout, ids, values):
        return pin(layout, ids, values, "fused", normalization)

    check_equation("pin", oracle, LAYOUTS["single"], True, normalization=normalization)


@pytest.mark.parametrize("hybrid", [False, True])
def test_nifm_with_adaptive_sizes_is_the_model_of_shorter_vectors(hybrid):
    def oracle(layout, ids, values):
        return nifm(layout, ids, values, SIZES)

    check_equation("nifm", oracle, LAYOUTS["single"], hybrid, embedding_sizes=SIZES)


@pytest.mark.parametrize("sizes", [(1, 2), (1, 2, 3, 3, 3)])
def test_nifm_needs_one_adaptive_size_for_each_field(sizes):
    with pytest.raises(ConfigError, match="one size for each of"):
        small_model("nifm", LAYOUTS["single"], embedding_sizes=sizes)


@pytest.mark.parametrize("name", ["nifm", "pin"])
def test_every_parameter_of_the_model_reaches_the_logit(name):
    net, ids = small_model(name, LAYOUTS["multi"]), some_ids(LAYOUTS["multi"], rows=30)
    randomize(net, 5)
    backward(net, [int32(ids)], np.random.default_rng(6).normal(size=len(ids)))
    assert [parameter for parameter, gradient in gradients(net).items() if not gradient.any()] == []


def test_pin_has_no_wide_term_and_no_link_from_embeddings_to_the_dense_network():
    net = small_model("pin", LAYOUTS["single"])
    randomize(net, 7)
    net.product.output_weight.set_data(mx.nd.zeros(net.product.output_weight.shape))
    logits = net(int32(some_ids(LAYOUTS["single"]))).asnumpy()
    assert len(set(logits.tolist())) == 1


def test_nifm_with_subnets_of_weight_0_is_logistic_regression():
    net, lr = (small_model(name, LAYOUTS["multi"]) for name in ("nifm", "lr"))
    for model in (net, lr):
        randomize(model, 8)
    net.product.output_weight.set_data(mx.nd.zeros(net.product.output_weight.shape))
    lr.linear.linear_weight.set_data(net.linear.linear_weight.data())
    lr.linear.bias.set_data(net.linear.bias.data())
    ids = int32(some_ids(LAYOUTS["multi"]))
    np.testing.assert_array_equal(net(ids).asnumpy(), lr(ids).asnumpy())


def test_fields_without_values_are_vectors_of_zeros_to_their_pairs():
    net, layout = small_model("pin", LAYOUTS["multi"]), LAYOUTS["multi"]
    values = randomize(net, 9)
    ids = np.zeros((2, layout.slots), np.int32)
    table = np.zeros((SIZE, K))
    expected = pin(layout, ids, values | {"embedding.embedding_weight": table})
    np.testing.assert_allclose(net(int32(ids)).asnumpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["nifm", "pin"])
def test_one_field_is_refused(name):
    with pytest.raises(ConfigError, match="two fields"):
        small_model(name, FieldLayout.single_valued(("a",)))


CRITEO = FieldLayout.single_valued(tuple(f"field{i}" for i in range(39)))


@pytest.mark.parametrize(
    ("name", "millions", "options"),
    [
        ("nifm", 22.22, {"subnet_hidden": 40}),
        ("pin", 26.48, {"subnet_hidden": 40, "subnet_outputs": 5, "hidden": (700,) * 5}),
    ],
)
def test_weights_for_a_million_ids_are_those_of_the_papers_table_10(name, millions, options):
    net = create_model(name, CRITEO, 10**6, embedding_size=20, **options)
    shapes = [p.shape for p in net.collect_params(".*weight").values()]
    assert round(sum(int(np.prod(shape)) for shape in shapes) / 1e6, 2) == millions
