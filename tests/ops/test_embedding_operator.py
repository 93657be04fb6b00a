"""Lookups with means over slots, native and plain; gradients of tables are row sparse, the same for any threads."""

import hashlib

import numpy as np
import pytest
from ops_checks import told_by_a_child

from pnn_gluon.blocks.embedding import EmbeddingOptions, FieldEmbedding, LinearTerm, SlotEmbedding
from pnn_gluon.blocks.id_table import part_sizes
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.linear_scores import LinearScores
from pnn_gluon.ops import native_operators, plain_operators
from pnn_gluon.runtime import mx

WIDTHS = [(1,), (4,), (1, 1, 1), (1, 3, 1, 1, 2), (5, 2)]
BLOCKS = {
    "fields": lambda layout, size, k: FieldEmbedding(layout, size, EmbeddingOptions(k)),
    "slots": lambda layout, size, k: SlotEmbedding(layout, size, EmbeddingOptions(k)),
    "linear": lambda layout, size, k: LinearTerm(layout, size),
    "scores": LinearScores,
}


def field_layout(widths):
    return FieldLayout(tuple(f"f{i}" for i in range(len(widths))), widths)


def some_ids(rows, slots, size):
    """Few ids that are frequent, some padding, and a row of padding alone."""
    ids = np.random.default_rng(1).zipf(1.3, (rows, slots)) % size
    ids[rows // 2] = 0
    return ids.astype(np.int32)


def run(block, ids, weight, *, hybrid=False):
    """Output, gradient of the table as (indices, data), and gradients of the rest."""
    block.initialize()
    parameters = block.collect_params()
    table = next(p for name, p in parameters.items() if name.endswith(("embedding_weight", "linear_weight")))
    table.set_data(weight)
    block.hybridize(active=hybrid, static_alloc=True)
    with mx.autograd.record():
        y = block(mx.nd.array(ids, dtype="int32"))
    y.backward(mx.nd.array(np.random.default_rng(2).normal(size=y.shape)))
    grad = table.grad()
    assert grad.stype == "row_sparse"
    others = [p.grad().asnumpy() for p in parameters.values() if p is not table]
    return [y.asnumpy(), grad.indices.asnumpy(), grad.data.asnumpy(), *others]


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize(("rows", "size"), [(1, 2), (3, 5), (200, 7), (130, 5000)])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("name", BLOCKS)
def test_native_equals_plain(name, widths, rows, size, hybrid):
    layout, ids = field_layout(widths), some_ids(rows, sum(widths), size)
    for k in (1, 4, 7, 37):
        weight = mx.nd.array(np.random.default_rng(3).normal(size=(size, 1 if name == "linear" else k)))
        with plain_operators():
            expected = run(BLOCKS[name](layout, size, k), ids, weight)
        assert native_operators()
        found = run(BLOCKS[name](layout, size, k), ids, weight, hybrid=hybrid)
        np.testing.assert_array_equal(found[1], expected[1])
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)


def test_gradients_are_the_sums_over_occurrences_in_the_order_of_rows():
    """Bit by bit: float32 additions one after the other, from the first row to the last."""
    ids = some_ids(500, 6, 300)
    dy = np.random.default_rng(4).normal(size=(500, 6, 5)).astype(np.float32)
    table = mx.nd.zeros((300, 5))
    table.attach_grad(stype="row_sparse")
    with mx.autograd.record():
        y = mx.nd.pnn_embedding(mx.nd.array(ids, dtype="int32"), table)
    y.backward(mx.nd.array(dy))
    expected = np.zeros((300, 5), np.float32)
    np.add.at(expected, ids.ravel(), dy.reshape(-1, 5))
    expected[0] = 0
    assert table.grad.indices.asnumpy().tolist() == np.unique(ids).tolist()
    np.testing.assert_array_equal(table.grad.asnumpy(), expected)


@pytest.mark.parametrize("size", [1, 2, 2049, 3_000_000])
def test_ids_of_tables_of_any_size_are_found_and_sorted(size):
    ids = np.random.default_rng(5).integers(0, size, (300, 4)).astype(np.int32)
    ids[7, 3] = size - 1
    table = mx.nd.arange(size).reshape((size, 1)) % 97
    table.attach_grad(stype="row_sparse")
    with mx.autograd.record():
        y = mx.nd.pnn_embedding_sum(mx.nd.array(ids, dtype="int32"), table)
    y.backward()
    np.testing.assert_array_equal(y.asnumpy(), (ids % 97).sum(axis=1, keepdims=True))
    found, times = np.unique(ids, return_counts=True)
    np.testing.assert_array_equal(table.grad.indices.asnumpy(), found)
    np.testing.assert_array_equal(table.grad.data.asnumpy()[:, 0], np.where(found == 0, 0, times))


def test_not_a_number_stays_visible_except_in_the_row_of_padding():
    table = mx.nd.array([[np.nan, 1], [np.nan, 2], [3, 4]])
    ids = mx.nd.array([[0, 1, 2]], dtype="int32")
    np.testing.assert_array_equal(mx.nd.pnn_embedding(ids, table).asnumpy(), [[[0, 0], [np.nan, 2], [3, 4]]])
    np.testing.assert_array_equal(mx.nd.pnn_embedding_sum(ids, table).asnumpy(), [[np.nan, 6]])


@pytest.mark.parametrize("wrong", [-1, 3])
@pytest.mark.parametrize("operator", ["pnn_embedding", "pnn_embedding_sum"])
def test_ids_outside_the_table_are_refused(operator, wrong):
    ids = mx.nd.array([[1, 2], [wrong, 0]], dtype="int32")
    with pytest.raises(mx.MXNetError, match="ids must be from 0 to 2"):
        getattr(mx.nd, operator)(ids, mx.nd.ones((3, 4))).wait_to_read()


def test_other_types_are_refused():
    with pytest.raises(mx.MXNetError, match="takes int32 ids"):
        mx.nd.pnn_embedding(mx.nd.ones((2, 2)), mx.nd.ones((3, 4)))


def test_impossible_starts_are_refused():
    with pytest.raises(mx.MXNetError, match="starts must ascend from 0 and stay below 3, not 1,2"):
        mx.nd.pnn_embedding(mx.nd.zeros((2, 3), dtype="int32"), mx.nd.ones((3, 4)), starts="1,2")


@pytest.mark.parametrize("starts", ["", "0,1,4"])
@pytest.mark.parametrize("operator", ["pnn_embedding", "pnn_embedding_sum"])
@pytest.mark.parametrize(("rows", "size", "k"), [(3000, 11, 5), (200, 7, 1), (1, 2, 16), (3000, 3000, 4)])
def test_tables_cut_by_rows_have_the_bits_of_whole_ones(operator, starts, rows, size, k):
    ids = some_ids(rows, 6, size)
    ids[ids == size // 2] = 1  # so that a part may have none of the ids
    table = np.random.default_rng(3).normal(size=(size, k))
    expected = looked_up(operator, ids, [table], starts)
    for each in {1, 2, size // 2 or 1, size - 1 or 1}:
        parts = [table[at : at + each] for at in range(0, size, each)]
        y, gradients = looked_up(operator, ids, parts, starts)
        np.testing.assert_array_equal(y, expected[0])
        held = [indices + number * each for number, (indices, _) in enumerate(gradients)]
        np.testing.assert_array_equal(np.concatenate(held), expected[1][0][0])
        np.testing.assert_array_equal(np.concatenate([data for _, data in gradients]), expected[1][0][1])


def looked_up(operator, ids, parts, starts):
    """Vectors, and the gradient of each part as its rows and their numbers."""
    assert native_operators()
    weights = [mx.nd.array(part) for part in parts]
    for weight in weights:
        weight.attach_grad(stype="row_sparse")
    with mx.autograd.record():
        y = getattr(mx.nd, operator)(mx.nd.array(ids, dtype="int32"), *weights, parts=len(parts), starts=starts)
    y.backward(mx.nd.array(np.random.default_rng(2).normal(size=y.shape)))
    return y.asnumpy(), [(each.grad.indices.asnumpy(), each.grad.data.asnumpy()) for each in weights]


def test_parts_that_do_not_fit_together_are_refused():
    assert native_operators()
    ids, one = mx.nd.ones((2, 2), dtype="int32"), mx.nd.ones((3, 4))
    for others in ([mx.nd.ones((3, 5))], [mx.nd.ones((4, 4))], [mx.nd.ones((2, 4)), one]):
        with pytest.raises(mx.MXNetError, match="parts of a table must have the same shape"):
            mx.nd.pnn_embedding(ids, one, *others, parts=1 + len(others))
    with pytest.raises(mx.MXNetError, match="ids must be from 0 to 4"):
        mx.nd.pnn_embedding(5 * ids, one, mx.nd.ones((2, 4)), parts=2).wait_to_read()


def test_a_table_of_more_numbers_than_a_tensor_holds():
    """Of its nine gigabytes only the rows that are looked up are ever touched."""
    assert native_operators()
    size, k = 150_000_000, 16
    rows = part_sizes(size, k)
    assert len(rows) == 2
    parts = [mx.nd.empty((count, k)) for count in rows]
    ids = np.array([[0, 5, rows[0] - 1], [rows[0], rows[0] + 7, 5], [size - 1, 1, 2]], np.int32)
    for number in np.unique(ids):
        parts[number // rows[0]][int(number % rows[0])] = float(number % 97)
    for part in parts:
        part.attach_grad(stype="row_sparse")
    with mx.autograd.record():
        y = mx.nd.pnn_embedding(mx.nd.array(ids, dtype="int32"), *parts, parts=2)
    y.backward()
    np.testing.assert_array_equal(y.asnumpy(), np.repeat(ids % 97, k).reshape(3, 3, k))
    first, second = (part.grad.indices.asnumpy().tolist() for part in parts)
    assert first == [0, 1, 2, 5, rows[0] - 1]
    assert second == [0, 7, rows[1] - 1]


def bits():
    """Digest of the outputs and gradients of all blocks; run in processes with other numbers of threads."""
    layout, found = field_layout((1, 3, 1, 1, 2)), hashlib.sha256()
    for make in BLOCKS.values():
        block = make(layout, 5000, 20)
        shape = next(iter(block.collect_params(".*_weight").values())).shape
        weight = mx.nd.array(np.random.default_rng(3).normal(size=shape))
        for array in run(block, some_ids(700, 8, 5000), weight):
            found.update(array.tobytes())
    return found.hexdigest()


def test_bits_do_not_depend_on_the_number_of_threads():
    program = "import test_embedding_operator as t; print(t.bits())"
    digests = {told_by_a_child(program, OMP_NUM_THREADS=threads) for threads in ("1", "3")}
    assert len(digests) == 1
