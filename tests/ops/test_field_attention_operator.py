"""Attention of fields to one another, native and plain."""

import numpy as np
import pytest
from ops_checks import check_twins, check_x3

from pnn_gluon.blocks.field_attention import FieldAttention
from pnn_gluon.runtime import mx


@pytest.mark.parametrize(("heads", "size"), [(1, 1), (2, 16), (3, 5), (1, 33), (4, 8)])
@pytest.mark.parametrize(("rows", "fields", "inputs"), [(1, 1, 1), (3, 2, 4), (130, 7, 3), (2, 39, 20), (66, 17, 5)])
def test_native_equals_plain(rows, fields, inputs, heads, size):
    check_twins(lambda: FieldAttention(inputs, heads, size), [(rows, fields, inputs)], rtol=5e-4, atol=5e-5)


@pytest.mark.parametrize(("heads", "size"), [(1, 1), (2, 16), (4, 8)])
@pytest.mark.parametrize(("rows", "fields", "inputs"), [(3, 2, 4), (130, 7, 3), (66, 17, 5)])
def test_x3_is_as_near_as_its_16_bits_allow(rows, fields, inputs, heads, size):
    check_x3(lambda: FieldAttention(inputs, heads, size), [(rows, fields, inputs)], rtol=5e-4, atol=5e-5)


def attention(x, heads):
    """(N, 4 H S) -> (N, H S) in float64."""
    query, key, value, residual = (part.reshape(len(x), heads, -1) for part in np.split(np.float64(x), 4, axis=1))
    scores = np.einsum("ihs,jhs->hij", query, key)
    powers = np.exp(scores - scores.max(axis=2, keepdims=True))
    attended = np.einsum("hij,jhs->ihs", powers / powers.sum(axis=2, keepdims=True), value)
    return np.maximum(attended + residual, 0).reshape(len(x), -1)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_scores_of_any_size_give_the_softmax(scale):
    x = np.random.default_rng(1).normal(size=(9, 19, 4 * 2 * 5)).astype(np.float32)
    x[:, :, :20] *= scale  # queries and keys
    found = mx.nd.pnn_field_attention(mx.nd.array(x), heads=2).asnumpy()
    tolerance = 1e-6 * max(1, scale**2)
    np.testing.assert_allclose(found, [attention(example, 2) for example in x], rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize("place", range(4))
def test_not_a_number_stays_visible(place):
    x = np.ones((2, 3, 4, 5), np.float32)
    x[1, 2, place] = np.nan
    z = mx.nd.array(x.reshape((2, 3, 20)))
    z.attach_grad()
    with mx.autograd.record():
        y = mx.nd.pnn_field_attention(z)
    found = np.isnan(y.asnumpy())
    assert not found[0].any()
    assert found[1, 2].all()
    assert found[1, 0].all() == (place in {1, 2})  # keys and values reach all fields


@pytest.mark.parametrize(("shape", "heads"), [((2, 3), 1), ((2, 3, 12), 2), ((2, 3, 8), 0)])
def test_impossible_shapes_are_refused(shape, heads):
    with pytest.raises(mx.MXNetError, match=f"with heads = {heads}"):
        mx.nd.pnn_field_attention(mx.nd.ones(shape), heads=heads)
