import numpy as np
import pytest
from model_checks import LAYOUTS, SIZE, K, check_equation, small_model, some_ids
from numpy_models import field_vectors, int32, linear, randomize

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.registry import create_model
from pnn_gluon.runtime import mx


def products(layout, ids, values):
    """v_i * v_j of each pair: (B, P, K)."""
    vectors = field_vectors(layout, ids, values["embedding.embedding_weight"])
    return np.array([[v[i] * v[j] for j in range(len(v)) for i in range(j)] for v in vectors])


def scores(e, values):
    """h^T relu(W e + c) of each pair: (B, P)."""
    hidden = np.maximum(e @ values["attention.attention_weight"].T + values["attention.attention_bias"], 0)
    return hidden @ values["attention.attention_output_weight"][0]


def afm(layout, ids, values, temperature=1.0):
    logits = linear(layout, ids, values["linear.linear_weight"], values["linear.bias"])
    e = products(layout, ids, values)
    for row, s in enumerate(scores(e, values)):
        exponents = np.exp((s - s.max()) / temperature)
        for attention, product in zip(exponents / exponents.sum(), e[row], strict=True):
            logits[row] += attention * (values["output.weight"][0] @ product)
    return logits


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_logits_and_gradients_equal_the_equation(layout, hybrid):
    check_equation("afm", afm, layout, hybrid)


@pytest.mark.parametrize("temperature", [0.2, 5.0])
def test_scores_are_divided_by_the_temperature(temperature):
    def oracle(layout, ids, values):
        return afm(layout, ids, values, temperature)

    check_equation("afm", oracle, LAYOUTS["multi"], True, temperature=temperature)


def randomized(layout=LAYOUTS["single"], seed=3, **options):
    net = small_model("afm", layout, attention_size=6, **options)
    return net, randomize(net, seed)


def test_near_temperature_0_the_pair_of_the_largest_score_counts_alone():
    layout = LAYOUTS["single"]
    net, values = randomized(temperature=1e-6)
    ids = some_ids(layout)
    e = products(layout, ids, values)
    largest = scores(e, values).argmax(axis=1)
    first_order = linear(layout, ids, values["linear.linear_weight"], values["linear.bias"])
    expected = first_order + e[np.arange(len(ids)), largest] @ values["output.weight"][0]
    np.testing.assert_allclose(net(int32(ids)).asnumpy(), expected, rtol=1e-4, atol=1e-5)


def test_at_a_high_temperature_all_pairs_count_the_same_as_in_a_factorization_machine():
    layout = LAYOUTS["multi"]
    net, _ = randomized(layout, temperature=1e6)
    fm, pairs = small_model("fm", layout), layout.pairs
    fm.initialize()
    net.output.weight.set_data(mx.nd.ones((1, K)) * pairs)
    for name in ("linear.linear_weight", "linear.bias", "embedding.embedding_weight"):
        fm._collect_params_with_prefix()[name].set_data(net._collect_params_with_prefix()[name].data())
    ids = int32(some_ids(layout))
    np.testing.assert_allclose(net(ids).asnumpy(), fm(ids).asnumpy(), rtol=1e-4, atol=1e-4)


def test_pooling_dropout_drops_numbers_of_the_weighted_sum_in_training_only():
    layout, rate = LAYOUTS["single"], 0.5
    net, values = randomized(pooling_dropout=rate)
    ids = np.tile(some_ids(layout, rows=1), (200, 1))
    np.testing.assert_allclose(net(int32(ids)).asnumpy(), afm(layout, ids, values), rtol=1e-4, atol=1e-5)
    contributions = net.attention(net.embedding(int32(ids[:1]))).asnumpy()[0] * values["output.weight"][0]
    first_order = linear(layout, ids[:1], values["linear.linear_weight"], values["linear.bias"])[0]
    possible = [first_order + (contributions * kept).sum() / (1 - rate) for kept in np.ndindex(*(2,) * K)]
    mx.random.seed(1)
    with mx.autograd.train_mode():
        found = net(int32(ids)).asnumpy()
    distances = np.abs(found[:, None] - np.array(possible)[None])
    assert distances.min(axis=1).max() < 1e-4
    assert set(distances.argmin(axis=1)) == set(range(2**K))


def test_dense_parameters_of_the_attention_have_it_in_their_names():
    net = create_model("afm", LAYOUTS["single"], SIZE)
    owned = net.attention.collect_params().values()
    trained = [parameter.name for parameter in owned if parameter.grad_req != "null"]
    assert len(trained) == 3
    assert all("attention" in name for name in trained)
    assert sum(name.endswith("weight") for name in trained) == 2
    others = net.collect_params().keys() - net.attention.collect_params().keys()
    assert not any("attention" in name for name in others)


def test_two_fields_are_one_pair_with_attention_1():
    layout = FieldLayout.single_valued(("a", "b"))
    net, values = randomized(layout)
    ids = np.array([[1, 2], [3, 3]])
    first_order = linear(layout, ids, values["linear.linear_weight"], values["linear.bias"])
    expected = first_order + products(layout, ids, values)[:, 0] @ values["output.weight"][0]
    np.testing.assert_allclose(net(int32(ids)).asnumpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("option", "value"), [("attention_size", 0), ("temperature", 0.0), ("pooling_dropout", 1.0), ("temperature", -1.0)]
)
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ConfigError, match=option):
        small_model("afm", LAYOUTS["single"], **{option: value})


def test_one_field_is_refused():
    with pytest.raises(ConfigError, match="two fields"):
        small_model("afm", FieldLayout.single_valued(("a",)))


def test_weights_for_a_million_ids_are_those_of_the_papers_table_10():
    layout = FieldLayout.single_valued(tuple(f"field{i}" for i in range(39)))
    net = create_model("afm", layout, 10**6, embedding_size=20, attention_size=32)
    shapes = [p.shape for p in net.collect_params(".*weight").values()]
    assert round(sum(int(np.prod(shape)) for shape in shapes) / 1e6, 2) == 21.0
