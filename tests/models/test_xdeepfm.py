import numpy as np
import pytest
from model_checks import LAYOUTS, check_equation, small_model, some_ids
from numpy_models import field_vectors, int32, linear, mlp, randomize, within

from pnn_gluon.errors import ConfigError


def cin(v, values, feature_maps):
    """X^l_hk = sum_ij W_hji x0_jk x_ik, and all of it weighted and summed."""
    maps, logit = v, 0
    for layer, size in enumerate(feature_maps):
        name = "last" if layer == len(feature_maps) - 1 else f"layers.{layer}"
        weight = values[f"{name}.weight"].reshape(size, v.shape[1], maps.shape[1])
        maps = np.einsum("hji,bjk,bik->bhk", weight, v, maps)
        logit = logit + np.einsum("h,bhk->b", values[f"{name}.output_weight"][0], maps)
    return logit


def xdeepfm(layout, ids, values, feature_maps=(3, 2)):
    v = field_vectors(layout, ids, values["embedding.embedding_weight"])
    lr = linear(layout, ids, values["linear.linear_weight"], values["linear.bias"])
    deep = mlp(v.reshape(len(v), -1), within(values, "mlp"), 2)[:, 0]
    return lr + cin(v, within(values, "interaction"), feature_maps) + deep


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_logits_and_gradients_equal_the_equation(layout, hybrid):
    check_equation("xdeepfm", xdeepfm, layout, hybrid)


@pytest.mark.parametrize("feature_maps", [(2,), (2, 3, 2)])
def test_feature_maps_give_the_layers_of_the_cin(feature_maps):
    def oracle(layout, ids, values):
        return xdeepfm(layout, ids, values, feature_maps)

    check_equation("xdeepfm", oracle, LAYOUTS["multi"], True, feature_maps=feature_maps)


def test_without_output_weights_of_the_cin_only_linear_and_deep_part_remain():
    layout = LAYOUTS["single"]
    ids, net = some_ids(layout), small_model("xdeepfm", layout)
    values = randomize(net, 5)
    for name in ("interaction.layers.0.output_weight", "interaction.last.output_weight"):
        values[name][:] = 0
        net._collect_params_with_prefix()[name].data()[:] = 0
    v = field_vectors(layout, ids, values["embedding.embedding_weight"])
    lr = linear(layout, ids, values["linear.linear_weight"], values["linear.bias"])
    expected = lr + mlp(v.reshape(len(v), -1), within(values, "mlp"), 2)[:, 0]
    np.testing.assert_allclose(net(int32(ids)).asnumpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_cin_without_layers_is_refused():
    with pytest.raises(ConfigError, match="feature_maps"):
        small_model("xdeepfm", LAYOUTS["single"], feature_maps=())
