"""deepcross: residual units on the embeddings."""

import numpy as np
import pytest
from model_checks import LAYOUTS, SIZE, check_equation, small_model, some_ids
from numpy_models import activate, field_vectors, int32, normalize, randomize, within

from pnn_gluon.blocks.normalization import NORMALIZATIONS
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.registry import create_model
from pnn_gluon.runtime import mx


def residual_unit(x, values, activation, normalization):
    """x + W_2 h + b_2, activated, with normalizations after both dense layers; their names are in the order of layers:
    dense, normalization (if any), activation, dropout, dense, normalization (if any)."""
    last = 3 if normalization == "none" else 4
    h = x @ values["layers.0.weight"].T + values["layers.0.bias"]
    h = activate(normalize(h, normalization, within(values, "layers.1")), activation, {})
    h = h @ values[f"layers.{last}.weight"].T + values[f"layers.{last}.bias"]
    return activate(x + normalize(h, normalization, within(values, f"layers.{last + 1}")), activation, {})


def deepcross(layout, ids, values, units=2, activation="tanh", normalization="none"):
    x = field_vectors(layout, ids, values["embedding.embedding_weight"]).reshape(len(ids), -1)
    for unit in range(units):
        x = residual_unit(x, within(values, f"units.{unit}"), activation, normalization)
    return x @ values["output.weight"][0] + values["output.bias"][0]


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_logits_and_gradients_equal_the_equation(normalization, layout, hybrid):
    def oracle(layout, ids, values):
        return deepcross(layout, ids, values, normalization=normalization)

    check_equation("deepcross", oracle, layout, hybrid, normalization=normalization)


@pytest.mark.parametrize("residual_units", [(2,), (5, 1, 2)])
@pytest.mark.parametrize("activation", ["sigmoid", "elu"])
def test_inner_widths_and_activation_are_those_of_the_options(residual_units, activation):
    def oracle(layout, ids, values):
        inner = [len(values[f"units.{unit}.layers.0.bias"]) for unit in range(len(residual_units))]
        assert inner == list(residual_units)
        return deepcross(layout, ids, values, len(residual_units), activation)

    options = {"residual_units": residual_units, "activation": activation}
    check_equation("deepcross", oracle, LAYOUTS["single"], True, **options)


def test_units_with_zero_weights_leave_a_linear_model_of_positive_embeddings():
    layout, net = LAYOUTS["multi"], small_model("deepcross", LAYOUTS["multi"], activation="relu")
    values = randomize(net, 4)
    table = np.abs(values["embedding.embedding_weight"])
    net.embedding.embedding_weight.set_data(mx.nd.array(table))
    for parameter in net.units.collect_params().values():
        parameter.set_data(mx.nd.zeros(parameter.shape))
    ids = some_ids(layout)
    v = field_vectors(layout, ids, table).reshape(len(ids), -1)
    expected = v @ values["output.weight"][0] + values["output.bias"][0]
    np.testing.assert_allclose(net(int32(ids)).asnumpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("option", "value"), [("residual_units", ()), ("dropout", 1.0), ("normalization", "group")])
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ConfigError, match=option):
        create_model("deepcross", LAYOUTS["single"], SIZE, **{option: value})
