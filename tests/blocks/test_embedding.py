import numpy as np
import pytest
from numpy_models import backward, field_vectors, finite_differences, gradients, int32, linear, randomize

from pnn_gluon.blocks.embedding import (
    AdaptiveSizes,
    EmbeddingOptions,
    FieldEmbedding,
    LinearTerm,
)
from pnn_gluon.blocks.id_table import is_row_parameter, whole_name
from pnn_gluon.blocks.layout import FieldLayout, adaptive_sizes
from pnn_gluon.errors import ConfigError
from pnn_gluon.runtime import mx

SINGLE = FieldLayout.single_valued(("a", "b", "c"))
MULTI = FieldLayout.from_widths({"a": 1, "tags": 3, "b": 1, "c": 1, "cities": 2})
SIZE, K = 9, 2


def some_ids(layout):
    ids = np.random.default_rng(1).integers(1, SIZE, (6, layout.slots)).astype(np.int32)
    ids[:, -1] = [0, 0, 3, 3, 5, 0]
    if layout is MULTI:
        ids[0, 1:4], ids[1, 1:4], ids[2, 1:4] = [0, 0, 0], [0, 4, 0], [7, 7, 0]
        ids[0, 6:8] = 0
    return ids


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", [SINGLE, MULTI])
def test_embedding_is_the_mean_over_a_fields_values(layout, hybrid):
    ids, net = some_ids(layout), FieldEmbedding(layout, SIZE, EmbeddingOptions(K))
    values = randomize(net, 2)
    net.hybridize(active=hybrid)
    weights = np.random.default_rng(3).normal(size=(6, layout.fields, K))
    found = backward(net, [int32(ids)], weights)
    np.testing.assert_allclose(found, field_vectors(layout, ids, values["embedding_weight"]), rtol=1e-5, atol=1e-6)
    expected = finite_differences(lambda v: (field_vectors(layout, ids, v["embedding_weight"]) * weights).sum(), values)
    np.testing.assert_allclose(gradients(net)["embedding_weight"], expected["embedding_weight"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", [SINGLE, MULTI])
def test_linear_term_is_the_sum_over_fields_of_mean_weights(layout, hybrid):
    ids, net = some_ids(layout), LinearTerm(layout, SIZE)
    values = randomize(net, 4)
    net.hybridize(active=hybrid)
    weights = np.random.default_rng(5).normal(size=6)
    found = backward(net, [int32(ids)], weights)
    oracle = lambda v: linear(layout, ids, v["linear_weight"], v["bias"])  # noqa: E731
    np.testing.assert_allclose(found, oracle(values), rtol=1e-5, atol=1e-6)
    expected = finite_differences(lambda v: (oracle(v) * weights).sum(), values)
    for name, gradient in gradients(net).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, atol=1e-5)


def test_padding_row_never_contributes_and_never_gets_a_gradient():
    net = FieldEmbedding(MULTI, SIZE, EmbeddingOptions(K))
    randomize(net, 6)
    net.embedding_weight.data()[0] = 1e6
    ids = some_ids(MULTI)
    found = backward(net, [int32(ids)], np.ones((6, MULTI.fields, K)))
    assert np.abs(found).max() < 10
    assert not found[0, 1].any()
    assert not gradients(net)["embedding_weight"][0].any()


def test_gradient_holds_each_distinct_id_of_the_batch_once():
    net = FieldEmbedding(SINGLE, SIZE, EmbeddingOptions(K))
    randomize(net, 7)
    backward(net, [int32(np.array([[5, 2, 5], [2, 5, 8]]))], np.ones((2, 3, K)))
    gradient = net.embedding_weight.grad()
    assert gradient.stype == "row_sparse"
    assert gradient.indices.asnumpy().tolist() == [2, 5, 8]


@pytest.mark.parametrize("c", [1.0, 3.0])
@pytest.mark.parametrize(
    ("init", "square"), [("fields", 1 / (3 * 50)), ("ids", 1 / (2000 * 50)), ("size", 1 / 50), ("xavier", 6 / 2050)]
)
def test_starting_values_fill_the_documented_range(init, square, c):
    net = FieldEmbedding(SINGLE, 2000, EmbeddingOptions(50, init, c))
    net.initialize()
    largest = np.abs(net.embedding_weight.data().asnumpy()).max()
    assert 0.99 * np.sqrt(c * square) < largest <= np.sqrt(c * square)


@pytest.mark.parametrize("hybrid", [False, True])
def test_adaptive_sizes_keep_the_first_numbers_of_each_field(hybrid):
    net = AdaptiveSizes((1, 3, 2), 3)
    net.initialize()
    net.hybridize(active=hybrid)
    v = mx.nd.ones((2, 3, 3))
    v.attach_grad()
    with mx.autograd.record():
        kept = net(v)
    kept.backward()
    expected = [[1, 0, 0], [1, 1, 1], [1, 1, 0]]
    assert kept.asnumpy().tolist() == [expected, expected]
    assert v.grad.asnumpy().tolist() == [expected, expected]


def test_adaptive_sizes_grow_with_the_logarithm_of_the_vocabulary():
    assert adaptive_sizes((0, 1, 2, 1000, 10**6), 4, 40) == (1, 1, 3, 28, 40)


def test_adaptive_sizes_outside_the_embedding_are_refused():
    with pytest.raises(ConfigError, match=r"\[1, embedding_size = 3\]"):
        AdaptiveSizes((1, 4), 3)


@pytest.mark.parametrize("options", [{"embedding_size": 0}, {"embedding_init": "zeros"}, {"init_scale": 0.0}])
def test_embedding_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        EmbeddingOptions(**options)


def test_a_table_beyond_the_tensor_limit_is_cut_by_rows():
    embedding = FieldEmbedding(SINGLE, 200_000_000, EmbeddingOptions(20))
    assert [part.shape for part in embedding.parts] == [(107_374_182, 20), (92_625_818, 20)]
    assert [part.name.removeprefix(embedding.prefix) for part in embedding.parts] == [
        "embedding_weight_0of2",
        "embedding_weight_1of2",
    ]


def test_more_ids_than_int32_has_are_refused():
    with pytest.raises(ConfigError, match="2147483648 ids, more than the 2147483647 of int32"):
        LinearTerm(SINGLE, 2**31)


@pytest.mark.parametrize(
    "name", ["embedding_weight", "fm0_embedding0_embedding_weight_3of12:1", "a.linear_weight_0of2"]
)
def test_parts_of_tables_are_row_parameters_too(name):
    assert is_row_parameter(name.partition(":")[0])
    assert whole_name(name) in {"embedding_weight", "fm0_embedding0_embedding_weight:1", "a.linear_weight"}


@pytest.mark.parametrize("name", ["weight_0of2", "mlp_weight", "embedding_weight_0of2_gamma", "embedding_weight_0of"])
def test_other_names_are_not(name):
    assert not is_row_parameter(name)
    assert whole_name(name) == name


@pytest.mark.parametrize(("size", "k"), [(0, 2), (5, 0)])
def test_empty_tables_are_refused(size, k):
    with pytest.raises(ConfigError):
        FieldEmbedding(SINGLE, size, EmbeddingOptions(k))


def test_row_parameters_are_recognized_by_name():
    net = LinearTerm(SINGLE, SIZE)
    assert [name for name in net.collect_params() if is_row_parameter(name)] == [net.linear_weight.name]
