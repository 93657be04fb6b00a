"""Weighted sums over the slots of fields, native and plain."""

import pytest
from ops_checks import check_twins

from pnn_gluon.blocks.embedding import FieldPooling
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.runtime import mx

WIDTHS = [(1,), (4,), (1, 1, 1), (1, 3, 1, 1, 2), (5, 2), (2, 1)]


def layout(widths):
    return FieldLayout(tuple(f"f{i}" for i in range(len(widths))), widths)


@pytest.mark.parametrize("k", [1, 4, 7, 20, 37])
@pytest.mark.parametrize("rows", [1, 3, 130])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_native_equals_plain(widths, rows, k):
    check_twins(lambda: FieldPooling(layout(widths), k), [(rows, sum(widths), k), (rows, sum(widths))])


@pytest.mark.parametrize("starts", ["1,2", "0,0", "0,3", "0,x"])
def test_impossible_starts_are_refused(starts):
    with pytest.raises(mx.MXNetError, match="starts must ascend from 0 and stay below 3"):
        mx.nd.pnn_field_pooling(mx.nd.ones((2, 3, 4)), mx.nd.ones((2, 3)), starts=starts)
