"""Weighted sums over the slots of fields, native and plain; gradients of tables stay row sparse."""

import numpy as np
import pytest
from ops_checks import check_twins

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, FieldPooling, SlotEmbedding
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.ops import native_operators, plain_operators
from pnn_gluon.runtime import mx

WIDTHS = [(1,), (4,), (1, 1, 1), (1, 3, 1, 1, 2), (5, 2), (2, 1)]


def layout(widths):
    return FieldLayout(tuple(f"f{i}" for i in range(len(widths))), widths)


@pytest.mark.parametrize("k", [1, 4, 7, 20, 37])
@pytest.mark.parametrize("rows", [1, 3, 130])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_native_equals_plain(widths, rows, k):
    check_twins(lambda: FieldPooling(layout(widths), k), [(rows, sum(widths), k), (rows, sum(widths))])


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("block", [FieldEmbedding, SlotEmbedding])
def test_gradients_of_tables_are_row_sparse_and_equal_to_the_plain_ones(block, hybrid):
    ids = np.random.default_rng(1).integers(0, 30, size=(50, 6))
    ids[3] = 0

    def run():
        mx.random.seed(1)
        net = block(layout((1, 3, 2)), 40, EmbeddingOptions(5))
        net.initialize()
        if hybrid:
            net.hybridize(static_alloc=True)
        with mx.autograd.record():
            y = net(mx.nd.array(ids, dtype="int32"))
            loss = (y * y).sum()
        loss.backward()
        grad = net.embedding_weight.grad()
        assert grad.stype == "row_sparse"
        return y.asnumpy(), grad.indices.asnumpy(), grad.data.asnumpy()

    with plain_operators():
        expected = run()
    assert native_operators()
    for found, wanted in zip(run(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("starts", ["1,2", "0,0", "0,3", "0,x"])
def test_impossible_starts_are_refused(starts):
    with pytest.raises(mx.MXNetError, match="starts must ascend from 0 and stay below 3"):
        mx.nd.pnn_field_pooling(mx.nd.ones((2, 3, 4)), mx.nd.ones((2, 3)), starts=starts)
