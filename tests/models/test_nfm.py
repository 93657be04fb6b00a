"""nfm: a dense network on the pooled products of all pairs."""

from itertools import combinations

import numpy as np
import pytest
from model_checks import LAYOUTS, K, check_equation, small_model, some_ids
from numpy_models import field_vectors, int32, linear, mlp, normalize, randomize, within

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.normalization import NORMALIZATIONS
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.registry import model_options
from pnn_gluon.runtime import mx


def nfm(layout, ids, values, hidden=2, normalization="none"):
    v = field_vectors(layout, ids, values["embedding.embedding_weight"])
    pooled = sum(v[:, i] * v[:, j] for i, j in combinations(range(layout.fields), 2))
    pooled = normalize(pooled, normalization, within(values, "pooling.1"))
    lr = linear(layout, ids, values["linear.linear_weight"], values["linear.bias"])
    return lr + mlp(pooled, within(values, "mlp"), hidden, normalization=normalization)[:, 0]


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("hidden", [(4, 3), ()])
def test_logits_and_gradients_equal_the_equation(hidden, layout, hybrid):
    def oracle(layout, ids, values):
        return nfm(layout, ids, values, len(hidden))

    check_equation("nfm", oracle, layout, hybrid, hidden=hidden)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_pooled_vector_and_the_hidden_layers_are_normalized(normalization, hybrid):
    def oracle(layout, ids, values):
        return nfm(layout, ids, values, normalization=normalization)

    check_equation("nfm", oracle, LAYOUTS["multi"], hybrid, normalization=normalization)


def test_normalization_is_the_papers_unless_told():
    assert model_options("nfm")["normalization"] == "batch"


def test_nfm_0_with_output_weights_of_one_is_fm():
    layout = LAYOUTS["multi"]
    ids, nfm, fm = int32(some_ids(layout)), small_model("nfm", layout, hidden=()), small_model("fm", layout)
    for net in (nfm, fm):
        randomize(net, 3)
    nfm.mlp.layers[0].weight.set_data(mx.nd.ones((1, K)))
    nfm.mlp.layers[0].bias.set_data(mx.nd.zeros((1,)))
    for name, parameter in fm._collect_params_with_prefix().items():
        if name in nfm._collect_params_with_prefix():
            parameter.set_data(nfm._collect_params_with_prefix()[name].data())
    np.testing.assert_allclose(nfm(ids).asnumpy(), fm(ids).asnumpy(), rtol=1e-5, atol=1e-6)


def test_pooling_dropout_drops_parts_of_the_pooled_vector_in_training_only():
    k, ids = 400, int32(np.array([[1, 2, 3, 4]]))
    net = small_model("nfm", LAYOUTS["single"], embedding_size=k, hidden=(), pooling_dropout=0.25)
    mx.random.seed(1)
    net.initialize()
    net.embedding.embedding_weight.set_data(mx.nd.ones((8, k)))
    net.mlp.layers[0].weight.set_data(mx.nd.ones((1, k)))
    whole = 6 * k  # six pairs of ones
    assert net(ids).asscalar() == whole
    with mx.autograd.train_mode():
        found = np.array([net(ids).asscalar() for _ in range(16)])
    kept = found / (6 / 0.75)  # number of parts, each with chance 0.75
    np.testing.assert_array_equal(kept, kept.round())
    assert kept.mean() == pytest.approx(0.75 * k, rel=0.03)  # over five standard deviations
    assert kept.std() == pytest.approx(np.sqrt(k * 0.75 * 0.25), rel=0.6)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_pooling_dropout_out_of_range_is_refused(rate):
    with pytest.raises(ConfigError, match="pooling_dropout"):
        small_model("nfm", LAYOUTS["single"], pooling_dropout=rate)


def test_one_field_has_no_pairs_to_pool():
    with pytest.raises(ConfigError, match="two fields or more"):
        small_model("nfm", FieldLayout.single_valued(("a",)))
