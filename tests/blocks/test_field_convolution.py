import numpy as np
import pytest
from numpy_models import finite_differences

from pnn_gluon.blocks.field_convolution import FieldConvolution, pooled_sizes
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.max_pooling import OrderedMaxPooling
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx

LAYOUT = FieldLayout.single_valued(("a", "b", "c"))


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize(
    ("kept", "expected", "places"), [(1, [7], [3]), (2, [5, 7], [1, 3]), (3, [5, 7, 2], [1, 3, 4])]
)
def test_pooling_keeps_the_largest_values_in_their_order(kept, expected, places, hybrid):
    net = OrderedMaxPooling(kept)
    net.hybridize(active=hybrid)
    x = mx.nd.array([[[1, 5, -2, 7, 2]]])
    x.attach_grad()
    with mx.autograd.record():
        found = net(x)
    found.backward(mx.nd.array([[[10, 20, 30][:kept]]]))
    gradient = np.zeros(5)
    gradient[places] = [10, 20, 30][:kept]
    assert found.asnumpy().tolist() == [[expected]]
    assert x.grad.asnumpy().tolist() == [[gradient.tolist()]]


@pytest.mark.parametrize("kept", [1, 2, 4])
def test_pooling_of_many_rows_and_channels_equals_numpy(kept):
    x = np.random.default_rng(1).normal(size=(6, 5, 4)).astype(np.float32)
    expected = [[[v for v in row if v >= sorted(row)[-kept]] for row in channels] for channels in x]
    np.testing.assert_array_equal(OrderedMaxPooling(kept)(mx.nd.array(x)).asnumpy(), np.array(expected))
    found = mx.nd.array(x)
    found.attach_grad()
    with mx.autograd.record():
        total = (OrderedMaxPooling(kept)(found) ** 2).sum()
    total.backward()
    kept_values = lambda values: (np.sort(values["x"], axis=2)[:, :, -kept:] ** 2).sum()  # noqa: E731
    gradient = finite_differences(kept_values, {"x": x.astype(np.float64)})["x"]
    np.testing.assert_allclose(found.grad.asnumpy(), gradient, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kept", [1, 2])
def test_of_equal_values_one_gets_the_gradient(kept):
    x = mx.nd.ones((1, 1, 4))
    x.attach_grad()
    with mx.autograd.record():
        found = OrderedMaxPooling(kept)(x)
    found.backward()
    assert found.asnumpy().tolist() == [[[1] * kept]]
    assert sorted(x.grad.asnumpy()[0, 0]) == [0] * (4 - kept) + [1] * kept


def test_flexible_sizes_shrink_slowly_then_fast():
    # N = 18 fields, 3 layers: (1 - (1/3)^2) 18 = 16, (1 - (2/3)^1) 18 = 6, then the last.
    assert pooled_sizes(18, 3, 7, 3) == (16, 6, 3)
    assert pooled_sizes(39, 1, 7, 1) == (1,)
    assert pooled_sizes(2, 4, 1, 1) == (1, 1, 1, 1)


def test_no_more_values_are_kept_than_there_are():
    assert pooled_sizes(2, 1, 1, 3) == (2,)
    assert pooled_sizes(2, 1, 2, 3) == (3,)
    assert pooled_sizes(3, 2, 1, 5) == (1, 1)


@pytest.mark.parametrize("fields", [1, 2])
def test_fewer_fields_than_the_window_are_convolved(fields):
    layout = FieldLayout.single_valued(("a", "b")[:fields])
    net = FieldConvolution(layout, 4, 7, (5,), 1)
    net.initialize()
    assert net(mx.nd.ones((3, fields, 4))).shape == (3, 5)


def test_a_filter_meets_a_field_in_every_place_of_its_window():
    net = FieldConvolution(LAYOUT, 1, 3, (1,), 5)
    net.initialize()
    next(iter(net.collect_params(".*weight").values())).set_data(mx.nd.array([[[0.1, 0.2, 0.3]]]))
    found = np.arctanh(net(mx.nd.array([[[1], [0], [0]]])).asnumpy())
    np.testing.assert_allclose(found, [[0.3, 0.2, 0.1, 0, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("width", "filters", "kept", "message"),
    [(0, (2,), 1, "kernel_width"), (2, (), 1, "filters"), (2, (3, 0), 1, "filters"), (2, (2,), 0, "keeps")],
)
def test_impossible_convolutions_are_refused(width, filters, kept, message):
    with pytest.raises(ConfigError, match=message):
        FieldConvolution(LAYOUT, 3, width, filters, kept)
