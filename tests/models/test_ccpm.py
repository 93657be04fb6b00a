import numpy as np
import pytest
from model_checks import LAYOUTS, check_equation, small_model, some_ids
from numpy_models import field_vectors, int32, mlp, randomize, within

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.registry import create_model


def convolve(x, weight, bias):
    """Wide convolution of one row: (n, C), (C', C, w) -> (n + w - 1, C'); window t ends with field t."""
    count, _, width = weight.shape
    out = np.tile(bias, (len(x) + width - 1, 1)).astype(float)
    for t in range(len(out)):
        for s in range(width):
            field = t + s - (width - 1)
            if 0 <= field < len(x):
                out[t] += weight[:, :, s] @ x[field]
    return out.reshape(-1, count)


def keep_largest(x, kept):
    """(n, C) -> (kept, C): the largest values of each column in their order."""
    return np.array([column[np.sort(np.argsort(column)[-kept:])] for column in x.T]).T


def ccpm(layout, ids, values, sizes=(2, 2), normalization="none"):
    """Convolution weights are layers 0, 3, ... of the convolution; sizes are p_1 ... p_l."""
    rows = []
    for x in field_vectors(layout, ids, values["embedding.embedding_weight"]):
        for layer, kept in enumerate(sizes):
            part = within(values, f"convolution.layers.{3 * layer}")
            x = np.tanh(keep_largest(convolve(x, part["weight"], part["bias"]), kept))
        rows.append(x.T.ravel())
    return mlp(np.array(rows), within(values, "mlp"), 2, normalization=normalization)[:, 0]


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_logits_and_gradients_equal_the_equation(layout, hybrid):
    check_equation("ccpm", ccpm, layout, hybrid)  # 4 fields, 2 layers: p_1 = (1 - 1/2) 4 = 2, p_2 = pooled_values = 2


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({"filters": (3,), "pooled_values": 1}, (1,)),
        ({"filters": (3,), "kernel_width": 1, "pooled_values": 4}, (4,)),
        ({"filters": (2, 2), "kernel_width": 6, "pooled_values": 1}, (2, 1)),
        ({"filters": (2, 1, 2), "kernel_width": 2, "pooled_values": 2}, (3, 1, 2)),
    ],
)
def test_layers_windows_and_kept_values_are_as_asked(options, sizes):
    def oracle(layout, ids, values):
        return ccpm(layout, ids, values, sizes)

    check_equation("ccpm", oracle, LAYOUTS["multi"], True, **options)


@pytest.mark.parametrize("normalization", ["layer", "batch"])
def test_normalization_acts_on_the_hidden_layers_alone(normalization):
    def oracle(layout, ids, values):
        return ccpm(layout, ids, values, normalization=normalization)

    check_equation("ccpm", oracle, LAYOUTS["single"], True, normalization=normalization)


@pytest.mark.parametrize("fields", [1, 2])
def test_fewer_fields_than_the_window_work(fields):
    layout = FieldLayout.single_valued(("a", "b")[:fields])
    net = small_model("ccpm", layout, filters=(3,), kernel_width=7, pooled_values=1)
    values = randomize(net, 4)
    ids = some_ids(layout)
    np.testing.assert_allclose(net(int32(ids)).asnumpy(), ccpm(layout, ids, values, (1,)), rtol=1e-4, atol=1e-5)


def test_windows_of_neighbouring_fields_make_the_order_of_the_fields_matter():
    layout = FieldLayout.single_valued(("a", "b", "c"))
    net = small_model("ccpm", layout, kernel_width=2, filters=(3,))
    randomize(net, 5)
    first, second = net(int32(np.array([[1, 2, 3], [2, 1, 3]]))).asnumpy()
    assert first != pytest.approx(second, abs=1e-4)


def test_padding_of_the_layout_is_not_a_field():
    layout = LAYOUTS["multi"]
    net = small_model("ccpm", layout)
    randomize(net, 6)
    one, other = np.array([[1, 5, 0, 0, 2, 3], [1, 5, 5, 5, 2, 3]])
    found = net(int32(np.array([one, other]))).asnumpy()
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_layer_normalization_is_off_unless_asked_for():
    net = create_model("ccpm", LAYOUTS["single"], 8)
    assert not any(name.endswith(("gamma", "beta")) for name in net.collect_params())


def test_no_filters_are_refused():
    with pytest.raises(ConfigError, match="filters"):
        small_model("ccpm", LAYOUTS["single"], filters=())


CRITEO = FieldLayout.single_valued(tuple(f"field{i}" for i in range(39)))


def weights(**options):
    net = create_model("ccpm", CRITEO, 10**6, embedding_size=20, **options)
    return sum(int(np.prod(p.shape)) for p in net.collect_params(".*weight").values())


def test_weights_for_a_million_ids_are_those_of_the_papers_table_10():
    assert round(weights() / 1e6, 2) == 20.23
    assert weights() == 20_000_000 + 7 * 20 * 256 + 3 * 256 * 256 + 256


def test_no_other_number_of_kept_values_gives_table_10():
    assert [kept for kept in range(1, 10) if round(weights(pooled_values=kept) / 1e6, 2) == 20.23] == [1]
