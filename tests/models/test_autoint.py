import numpy as np
import pytest
from model_checks import LAYOUTS, check_equation, small_model, some_ids
from numpy_models import field_vectors, int32, mlp, randomize, within

from pnn_gluon.errors import ConfigError
from pnn_gluon.models.registry import create_model

WITHOUT_MLP = {"hidden": (), "activation": "relu", "normalization": "layer"}  # the defaults


def attention(e, values, heads):
    """(B, N, D) -> (B, N, heads size)."""
    outputs = []
    query, key, value = (np.split(e @ values[f"{n}_weight"].T, heads, axis=2) for n in ("query", "key", "value"))
    for q, k, v in zip(query, key, value, strict=True):
        scores = np.exp(np.einsum("bis,bjs->bij", q, k))
        outputs.append(np.einsum("bij,bjs->bis", scores / scores.sum(axis=2, keepdims=True), v))
    return np.maximum(np.concatenate(outputs, axis=2) + e @ values["residual_weight"].T, 0)


def autoint(layout, ids, values, layers=2, heads=2):
    e = field_vectors(layout, ids, values["embedding.embedding_weight"])
    for layer in range(layers):
        e = attention(e, within(values, f"attention.{layer}"), heads)
    return e.reshape(len(ids), -1) @ values["output.weight"][0] + values["output.bias"][0]


def autoint_plus(layout, ids, values, hidden=2, **options):
    v = field_vectors(layout, ids, values["embedding.embedding_weight"]).reshape(len(ids), -1)
    return autoint(layout, ids, values, **options) + mlp(v, within(values, "mlp"), hidden)[:, 0]


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_logits_and_gradients_without_hidden_layers_equal_the_equation(layout, hybrid):
    check_equation("autoint", autoint, layout, hybrid, **WITHOUT_MLP)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_hidden_layers_add_a_dense_network(layout, hybrid):
    check_equation("autoint", autoint_plus, layout, hybrid)


@pytest.mark.parametrize(("layers", "heads", "size"), [(1, 1, 3), (3, 2, 1), (1, 3, 2)])
def test_layers_heads_and_sizes_are_those_of_the_options(layers, heads, size):
    def oracle(layout, ids, values):
        assert values["attention.0.query_weight"].shape == (heads * size, 3)
        return autoint(layout, ids, values, layers, heads)

    options = {"attention_layers": layers, "heads": heads, "head_size": size}
    check_equation("autoint", oracle, LAYOUTS["multi"], True, **options, **WITHOUT_MLP)


def test_without_values_the_logit_is_a_network_of_the_residuals():
    layout = LAYOUTS["single"]
    ids, net = some_ids(layout), small_model("autoint", layout, **WITHOUT_MLP)
    values = randomize(net, 5)
    for layer in net.attention:
        layer.value_weight.data()[:] = 0
    e = field_vectors(layout, ids, values["embedding.embedding_weight"])
    for layer in range(2):
        e = np.maximum(e @ values[f"attention.{layer}.residual_weight"].T, 0)
    expected = e.reshape(len(ids), -1) @ values["output.weight"][0] + values["output.bias"][0]
    np.testing.assert_allclose(net(int32(ids)).asnumpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("option", [{"activation": "tanh"}, {"dropout": 0.5}, {"normalization": "none"}])
def test_options_of_hidden_layers_are_refused_without_them(option):
    with pytest.raises(ConfigError, match="give `hidden`"):
        create_model("autoint", LAYOUTS["single"], 9, **option)


def test_no_attention_layer_is_refused():
    with pytest.raises(ConfigError, match="attention_layers"):
        small_model("autoint", LAYOUTS["single"], attention_layers=0)
