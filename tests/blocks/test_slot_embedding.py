import numpy as np
import pytest
from numpy_models import backward, gradients, int32, randomize

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldPooling, SlotEmbedding
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.runtime import mx

LAYOUTS = [FieldLayout.single_valued(("a", "b", "c")), FieldLayout.from_widths({"a": 1, "tags": 3, "b": 1, "more": 2})]
SIZE, K = 9, 2


@pytest.mark.parametrize("hybrid", [False, True])
def test_every_slot_has_the_vector_of_its_id_and_padding_zeros(hybrid):
    ids = np.array([[3, 0, 8, 3], [0, 0, 1, 3]])
    net = SlotEmbedding(FieldLayout.from_widths({"a": 1, "tags": 3}), SIZE, EmbeddingOptions(K))
    table = randomize(net, 1)["embedding_weight"]
    net.hybridize(active=hybrid)
    weights = np.random.default_rng(2).normal(size=(*ids.shape, K))
    found = backward(net, [int32(ids)], weights)
    np.testing.assert_allclose(found, np.where(ids[:, :, None] != 0, table[ids], 0), rtol=1e-6)
    gradient = gradients(net)["embedding_weight"]
    assert not gradient[0].any()
    for i in range(1, SIZE):
        np.testing.assert_allclose(gradient[i], weights[ids == i].sum(axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_pooling_is_the_weighted_sum_over_the_slots_of_each_field(layout, hybrid):
    random = np.random.default_rng(3)
    vectors, weights = random.normal(size=(4, layout.slots, K)), random.normal(size=(4, layout.slots))
    net = FieldPooling(layout, K)
    net.hybridize(active=hybrid)
    found = net(mx.nd.array(vectors), mx.nd.array(weights)).asnumpy()
    expected = np.zeros((4, layout.fields, K))
    for field, (start, width) in enumerate(zip(layout.starts, layout.widths, strict=True)):
        for slot in range(start, start + width):
            expected[:, field] += weights[:, slot, None] * vectors[:, slot]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
