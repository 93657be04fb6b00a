import numpy as np
import pytest
from numpy_models import backward, finite_differences, gradients, randomize, within

from pnn_gluon.blocks.compressed_interaction import CompressedInteraction
from pnn_gluon.blocks.fm_interaction import FMInteraction
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx

N, K = 3, 2
LAYOUT = FieldLayout.single_valued(("a", "b", "c"))


def one_layer(fields, before, values):
    """Feature maps (H, K) of one row: every map a weighted sum of products element by element."""
    weight = values["weight"].reshape(-1, len(fields), len(before))
    return np.array(
        [sum(w[j, i] * fields[j] * before[i] for j in range(len(fields)) for i in range(len(before))) for w in weight]
    )


def cin(v, values, layers):
    """(B, N, K) -> (B,): all maps of all layers summed over K, then a dense layer."""
    names = [*(f"layers.{layer}" for layer in range(layers - 1)), "last"]
    logits = np.zeros(len(v))
    for row, fields in enumerate(v):
        maps = fields
        for name in names:
            maps = one_layer(fields, maps, within(values, name))
            logits[row] += values[f"{name}.output_weight"][0] @ maps.sum(axis=1)
    return logits


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("feature_maps", [(4,), (4, 2), (2, 4, 3)])
def test_logit_and_gradients_equal_the_sum_over_pairs_of_maps(feature_maps, hybrid):
    net = CompressedInteraction(LAYOUT, K, feature_maps)
    values = randomize(net, 1)
    net.hybridize(active=hybrid)
    random = np.random.default_rng(2)
    v, weights = random.normal(size=(4, N, K)).astype(np.float32), random.normal(size=4)
    x = mx.nd.array(v)
    x.attach_grad()
    found = backward(net, [x], weights)
    values["v"] = v.astype(np.float64)
    oracle = lambda values: cin(values["v"], values, len(feature_maps))  # noqa: E731
    np.testing.assert_allclose(found, oracle(values), rtol=1e-4, atol=1e-5)
    expected = finite_differences(lambda v: (oracle(v) * weights).sum(), values)
    for name, gradient in (gradients(net) | {"v": x.grad.asnumpy()}).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-3, atol=1e-4, err_msg=name)


def with_all_weights(feature_maps, value):
    net = CompressedInteraction(LAYOUT, K, feature_maps)
    net.initialize()
    for parameter in net.collect_params().values():
        parameter.set_data(mx.nd.full(parameter.shape, value))
    return net


def some_vectors():
    return np.random.default_rng(3).normal(size=(5, N, K))


def test_one_layer_of_ones_is_the_sum_of_all_inner_products():
    v = some_vectors()
    fm = FMInteraction(LAYOUT, K)
    fm.initialize()
    expected = 2 * fm(mx.nd.array(v)).asnumpy() + (v**2).sum(axis=(1, 2))  # pairs ij and ji, and ii
    np.testing.assert_allclose(with_all_weights((1,), 1.0)(mx.nd.array(v)).asnumpy(), expected, rtol=1e-4, atol=1e-5)


def test_each_layer_raises_the_order_by_one():
    v = some_vectors()
    total = v.sum(axis=1)
    expected = (total**2 + total**3 + total**4).sum(axis=1)
    found = with_all_weights((1, 1, 1), 1.0)(mx.nd.array(v)).asnumpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_number_of_weights_is_the_papers():
    net = CompressedInteraction(LAYOUT, K, (7, 5))
    assert sum(np.prod(p.shape) for p in net.collect_params().values()) == 7 * (1 + N * N) + 5 * (1 + 7 * N)


@pytest.mark.parametrize("feature_maps", [(), (3, 0)])
def test_layers_without_maps_are_refused(feature_maps):
    with pytest.raises(ConfigError, match="feature_maps"):
        CompressedInteraction(LAYOUT, K, feature_maps)
