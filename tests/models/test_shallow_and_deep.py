"""lr, fm, fnn, deepfm, ipnn: the models that the others are measured by."""

import numpy as np
import pytest
from model_checks import LAYOUTS, SIZE, K, check_equation, small_model, some_ids
from numpy_models import field_vectors, inner_products, int32, linear, mlp, normalize, randomize, within

from pnn_gluon.blocks.activation import ACTIVATIONS
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.normalization import NORMALIZATIONS
from pnn_gluon.runtime import mx


def lr(layout, ids, values):
    return linear(layout, ids, values["linear.linear_weight"], values["linear.bias"])


def vectors(layout, ids, values):
    return field_vectors(layout, ids, values["embedding.embedding_weight"])


def fm(layout, ids, values):
    return lr(layout, ids, values) + inner_products(vectors(layout, ids, values)).sum(axis=1)


def fnn(layout, ids, values):
    return mlp(vectors(layout, ids, values).reshape(len(ids), -1), within(values, "mlp"), 2)[:, 0]


def deepfm(layout, ids, values):
    return fm(layout, ids, values) + fnn(layout, ids, values)


def ipnn(layout, ids, values, normalization="none"):
    v = vectors(layout, ids, values)
    p = normalize(inner_products(v), normalization, within(values, "product.1"))
    z = np.concatenate([v.reshape(len(v), -1), p], axis=1)
    return mlp(z, within(values, "mlp"), 2, normalization=normalization)[:, 0]


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("oracle", [lr, fm, fnn, deepfm, ipnn], ids=lambda oracle: oracle.__name__)
def test_logits_and_gradients_equal_the_equation(oracle, layout, hybrid):
    check_equation(oracle.__name__, oracle, layout, hybrid)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_ipnn_normalizes_products_and_hidden_layers(normalization):
    def oracle(layout, ids, values):
        return ipnn(layout, ids, values, normalization)

    check_equation("ipnn", oracle, LAYOUTS["multi"], True, normalization=normalization)


def test_fm_with_orthogonal_embeddings_is_logistic_regression():
    layout = FieldLayout.single_valued(("a", "b", "c"))
    net = small_model("fm", layout)
    values = randomize(net, 6)
    table = np.zeros((SIZE, K))
    table[1:4] = np.eye(3)
    net.embedding.embedding_weight.set_data(mx.nd.array(table))
    expected = values["linear.linear_weight"][1:4].sum() + values["linear.bias"][0]
    assert net(int32(np.array([[1, 2, 3]]))).asscalar() == pytest.approx(expected, abs=1e-5)


def test_ipnn_without_products_in_its_first_layer_is_fnn():
    layout = LAYOUTS["single"]
    ids = int32(some_ids(layout))
    nets = small_model("ipnn", layout), small_model("fnn", layout)
    for net in nets:
        randomize(net, 8)
    ipnn, fnn = nets
    for name, parameter in fnn._collect_params_with_prefix().items():
        value = ipnn._collect_params_with_prefix()[name].data()
        parameter.set_data(value[:, : layout.fields * K] if name == "mlp.layers.0.weight" else value)
    ipnn.mlp.layers[0].weight.data()[:, layout.fields * K :] = 0
    np.testing.assert_allclose(ipnn(ids).asnumpy(), fnn(ids).asnumpy(), rtol=1e-5, atol=1e-6)


def test_ipnn_of_two_fields_does_not_normalize_its_only_product_away():
    net = small_model("ipnn", FieldLayout.single_valued(("a", "b")), normalization="layer")
    randomize(net, 9)
    assert net.product(mx.nd.array([[[1, 2, 3], [4, 5, 6]]])).asscalar() == 32


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_reach_the_hidden_layers(activation):
    def oracle(layout, ids, values):
        v = vectors(layout, ids, values).reshape(len(ids), -1)
        return mlp(v, within(values, "mlp"), 2, activation)[:, 0]

    check_equation("fnn", oracle, LAYOUTS["single"], True, activation=activation)
