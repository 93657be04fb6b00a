"""dcn: a cross network beside a dense network."""

import numpy as np
import pytest
from model_checks import LAYOUTS, K, check_equation, small_model, some_ids
from numpy_models import field_vectors, int32, mlp, randomize, within

from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx


def dcn(layout, ids, values, hidden=2):
    """One dense layer over the cross network's output and the last hidden layer, put side by side."""
    x0 = field_vectors(layout, ids, values["embedding.embedding_weight"]).reshape(len(ids), -1)
    x = x0
    for w, b in zip(values["cross.weight"], values["cross.bias"], strict=True):
        x = x0 * (x @ w)[:, None] + b + x
    output = f"mlp.layers.{2 * hidden}"  # dense, activation, ..., dense
    identity = {f"layers.{2 * hidden}.weight": np.eye(values[f"{output}.weight"].shape[1])}
    identity |= {f"layers.{2 * hidden}.bias": np.zeros(1)}
    h = mlp(x0, within(values, "mlp") | identity, hidden)
    together = np.concatenate([x, h], axis=1)
    weight = np.concatenate([values["cross_output.weight"], values[f"{output}.weight"]], axis=1)
    return together @ weight[0] + values[f"{output}.bias"][0]


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("cross_layers", [1, 3])
def test_logits_and_gradients_equal_the_equation(cross_layers, layout, hybrid):
    check_equation("dcn", dcn, layout, hybrid, cross_layers=cross_layers)


def test_without_hidden_layers_the_dense_network_passes_its_input_on():
    def oracle(layout, ids, values):
        return dcn(layout, ids, values, hidden=0)

    check_equation("dcn", oracle, LAYOUTS["multi"], True, hidden=())


def test_dcn_with_nothing_to_cross_is_fnn_plus_a_linear_layer():
    layout = LAYOUTS["single"]
    ids, dcn, fnn = some_ids(layout), small_model("dcn", layout), small_model("fnn", layout)
    values = randomize(dcn, 3)
    randomize(fnn, 3)
    for parameter in (dcn.cross.weight, dcn.cross.bias):
        parameter.set_data(mx.nd.zeros(parameter.shape))
    for name, parameter in fnn._collect_params_with_prefix().items():
        parameter.set_data(dcn._collect_params_with_prefix()[name].data())
    v = field_vectors(layout, ids, values["embedding.embedding_weight"]).reshape(len(ids), layout.fields * K)
    expected = fnn(int32(ids)).asnumpy() + v @ values["cross_output.weight"][0]
    np.testing.assert_allclose(dcn(int32(ids)).asnumpy(), expected, rtol=1e-5, atol=1e-6)


def test_no_cross_layer_is_refused():
    with pytest.raises(ConfigError, match="cross_layers must be 1 or more"):
        small_model("dcn", LAYOUTS["single"], cross_layers=0)
