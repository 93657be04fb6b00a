import numpy as np
import pytest
from numpy_models import backward, finite_differences, gradients, randomize

from pnn_gluon.blocks.field_attention import FieldAttention
from pnn_gluon.errors import ConfigError
from pnn_gluon.ops import dense_precision
from pnn_gluon.runtime import mx

N, D = 4, 3


@pytest.fixture(autouse=True)
def float32():
    with dense_precision("f32"):
        yield


def field_attention(e, values, heads):
    """(N, D) -> (N, heads size), field by field and head by head."""
    size = len(values["query_weight"]) // heads
    rows = []
    for e_i in e:
        parts = []
        for h in range(heads):
            query, key, value = (values[f"{n}_weight"][h * size : (h + 1) * size] for n in ("query", "key", "value"))
            scores = np.exp([(query @ e_i) @ (key @ e_j) for e_j in e])
            parts.append(sum(s * (value @ e_j) for s, e_j in zip(scores / scores.sum(), e, strict=True)))
        rows.append(np.maximum(np.concatenate(parts) + values["residual_weight"] @ e_i, 0))
    return np.array(rows)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize(("heads", "size"), [(1, 2), (2, 2), (3, 1)])
def test_attention_and_its_gradients_equal_the_equation(heads, size, hybrid):
    net = FieldAttention(D, heads, size)
    values = randomize(net, 1)
    net.hybridize(active=hybrid)
    random = np.random.default_rng(2)
    v, weights = random.normal(size=(4, N, D)).astype(np.float32), random.normal(size=(4, N, heads * size))
    x = mx.nd.array(v)
    x.attach_grad()
    found = backward(net, [x], weights)
    values["v"] = v.astype(np.float64)
    oracle = lambda values: np.array([field_attention(e, values, heads) for e in values["v"]])  # noqa: E731
    np.testing.assert_allclose(found, oracle(values), rtol=1e-4, atol=1e-5)
    expected = finite_differences(lambda v: (oracle(v) * weights).sum(), values)
    for name, gradient in (gradients(net) | {"v": x.grad.asnumpy()}).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-3, atol=1e-4, err_msg=name)


def with_zeros(name):
    net = FieldAttention(D, 2, 2)
    values = randomize(net, 3)
    getattr(net, name).set_data(mx.nd.zeros((4, D)))
    return net, values


def some_vectors():
    return np.random.default_rng(4).normal(size=(5, N, D))


def test_without_values_only_the_residual_remains():
    net, values = with_zeros("value_weight")
    v = some_vectors()
    expected = np.maximum(v @ values["residual_weight"].T, 0)
    np.testing.assert_allclose(net(mx.nd.array(v)).asnumpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["query_weight", "key_weight"])
def test_equal_scores_average_the_values_of_all_fields(name):
    net, values = with_zeros(name)
    v = some_vectors()
    mean = (v @ values["value_weight"].T).mean(axis=1, keepdims=True)
    expected = np.maximum(mean + v @ values["residual_weight"].T, 0)
    np.testing.assert_allclose(net(mx.nd.array(v)).asnumpy(), expected, rtol=1e-4, atol=1e-5)


def test_order_of_the_fields_is_the_order_of_the_outputs():
    net = FieldAttention(D, 2, 2)
    randomize(net, 5)
    v, order = some_vectors(), [2, 0, 3, 1]
    found = net(mx.nd.array(v[:, order])).asnumpy()
    np.testing.assert_allclose(found, net(mx.nd.array(v)).asnumpy()[:, order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("heads", "size"), [(0, 2), (2, 0)])
def test_attention_without_numbers_is_refused(heads, size):
    with pytest.raises(ConfigError, match="heads and head_size"):
        FieldAttention(D, heads, size)
