"""Feature maps of a compressed interaction network, native and plain."""

import numpy as np
import pytest
from ops_checks import check_twins, check_x3

from pnn_gluon.blocks.compressed_interaction import _FeatureMaps
from pnn_gluon.runtime import mx

SHAPES = [(1, 1, 1, 1), (5, 3, 4, 2), (70, 7, 7, 33), (33, 39, 39, 10), (40, 20, 60, 5), (2100, 3, 5, 4)]
"""(M, N, G, H): one of each, odd ones, several blocks along the products and along the rows."""


def in_one(fields, before, maps):
    """A layer whose maps and their term are one tensor."""

    class Maps(mx.gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.layer = _FeatureMaps(fields, before, maps)

        def hybrid_forward(self, F, fields, before):
            return F.concat(*self.layer(fields, before), dim=1)

    return Maps()


@pytest.mark.parametrize(("rows", "fields", "before", "maps"), SHAPES)
def test_native_equals_plain(rows, fields, before, maps):
    check_twins(lambda: in_one(fields, before, maps), [(rows, fields), (rows, before)])


@pytest.mark.parametrize(("rows", "fields", "before", "maps"), SHAPES[1:5])
def test_x3_is_as_near_as_its_16_bits_allow(rows, fields, before, maps):
    check_x3(lambda: in_one(fields, before, maps), [(rows, fields), (rows, before)])


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_maps_are_those_of_a_dense_layer_over_all_products_to_the_bit(precision):
    draws = np.random.default_rng(3)
    fields, before, weight = (draws.normal(size=shape).astype(np.float32) for shape in ((90, 39), (90, 39), (37, 1521)))
    products = (fields[:, :, None] * before[:, None, :]).reshape(90, -1)
    how = {"precision": precision}
    found = mx.nd.pnn_feature_maps(*map(mx.nd.array, (fields, before, weight)), maps=37, **how)
    expected = mx.nd.pnn_dense(mx.nd.array(products), mx.nd.array(weight), units=37, no_bias=1, **how)
    np.testing.assert_array_equal(found.asnumpy(), expected.asnumpy())


@pytest.mark.parametrize("same", [0, 1])
@pytest.mark.parametrize(("rows", "fields", "maps"), [(6, 3, 2), (50, 39, 12), (2100, 17, 3)])
def test_both_operands_may_be_one(rows, fields, maps, same):
    draws = np.random.default_rng(4)
    x, weight, dy = (draws.normal(size=shape) for shape in ((rows, fields), (maps, fields**2), (rows, maps)))
    arrays = [mx.nd.array(v) for v in (x, weight)]
    for array in arrays:
        array.attach_grad()
    with mx.autograd.record():
        y = mx.nd.pnn_feature_maps(arrays[0], arrays[0], arrays[1], maps=maps, same=same)
    y.backward(mx.nd.array(dy))
    squares = weight.reshape(maps, fields, fields)
    expected = {
        "y": np.einsum("hji,mj,mi->mh", squares, x, x),
        "dx": np.einsum("mh,hji,mi->mj", dy, squares + squares.transpose(0, 2, 1), x),
        "d_weight": np.einsum("mh,mj,mi->hji", dy, x, x).reshape(maps, -1),
    }
    for (name, wanted), found in zip(expected.items(), (y, *(array.grad for array in arrays)), strict=True):
        np.testing.assert_allclose(found.asnumpy(), wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max(), err_msg=name)


@pytest.mark.parametrize(
    ("shapes", "maps", "message"),
    [
        (((4, 3), (4, 2)), 2, "with same = 1 before must be fields"),
        (((4, 3), (4, 2)), 0, "maps must be 1 or more, not 0"),
        (((4, 3), (5, 2)), 2, r"fields must be \(M, N\), and before \(M, G\)"),
        (((4, 3), (4, 2, 1)), 2, r"fields must be \(M, N\)"),
    ],
)
def test_other_shapes_are_refused(shapes, maps, message):
    operands = [mx.nd.ones(shape) for shape in (*shapes, (max(maps, 1), 6))]
    with pytest.raises(mx.MXNetError, match=message):
        mx.nd.pnn_feature_maps(*operands, maps=maps, same=1).asnumpy()
