"""Sums of field vectors and of their products, native and plain."""

import numpy as np
import pytest
from ops_checks import check_twins

from pnn_gluon.blocks.bi_interaction import BiInteraction
from pnn_gluon.blocks.field_sum import FieldSum
from pnn_gluon.blocks.fm_interaction import FMInteraction
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.runtime import mx

BLOCKS = [FieldSum, BiInteraction, FMInteraction]
SHAPES = [(1, 2, 1), (3, 3, 5), (2, 5, 16), (65, 4, 7), (200, 39, 20), (3, 6, 33)]


def layout(fields):
    return FieldLayout.single_valued(tuple(f"f{i}" for i in range(fields)))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_native_equals_plain(shape, block):
    check_twins(lambda: block(layout(shape[1]), shape[2]), [shape])


def test_native_equals_plain_for_flat_vectors():
    check_twins(lambda: FieldSum(layout(4), 3), [(5, 12)])


@pytest.mark.parametrize("block", BLOCKS)
def test_not_a_number_stays_one_in_its_row(block):
    v = np.ones((3, 5, 4), np.float32)
    v[1, 2, 3] = np.nan
    net = block(layout(5), 4)
    net.initialize()
    sums = net(mx.nd.array(v)).asnumpy().reshape(3, -1)
    assert np.isnan(sums[1, -1])
    assert np.isnan(sums).sum() == 1


@pytest.mark.parametrize("name", ["pnn_field_sums", "pnn_pair_sums"])
def test_other_shapes_are_refused(name):
    with pytest.raises(mx.MXNetError, match=name):
        getattr(mx.nd, name)(mx.nd.ones((2, 7)), size=3).wait_to_read()
