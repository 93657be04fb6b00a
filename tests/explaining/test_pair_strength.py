"""The strength of pairs equals the paper's equations of every model that has it, in float64 numpy."""

import numpy as np
import pytest
from numpy_models import field_vectors, linear, randomize, within

from pnn_gluon.blocks.kernel_product import KERNELS
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.blocks.pair_network import SUBNET_NORMALIZATIONS
from pnn_gluon.explaining.pair_strength import PairStrength, mean_embeddings, pair_strength
from pnn_gluon.models.declared import declared_models
from pnn_gluon.runtime import mx
from pnn_gluon.training.export import predict_logits
from tests.models.model_checks import LAYOUTS, SIZE, K, small_model, some_ids

PAIRS = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
INNER = ("fm", "hofm", "deepfm", "fm_dnn", "ipnn", "pnn_star")
SIZES = (1, 3, 2, 1)
FIELD_OF = np.array([-1, 0, 1, 2, 3, 0, 1, 2], np.int16)
"""The fields of the ids: padding, then each field two ids but for the last."""
NO_IDS = np.empty((0, 4), np.int32)


def matrix(values):
    """The numbers of the pairs below and above an empty diagonal."""
    found = np.full((4, 4), np.nan)
    for (i, j), value in zip(PAIRS, values, strict=True):
        found[i, j] = found[j, i] = value
    return found


def means(table, counts):
    """The mean vector of each field, from the definition."""
    return np.array(
        [
            sum(counts[v] * table[v] for v in range(1, SIZE) if FIELD_OF[v] == i)
            / max(1, sum(counts[v] for v in range(1, SIZE) if FIELD_OF[v] == i))
            for i in range(4)
        ]
    )


def looked_at(name, layout=LAYOUTS["single"], ids=NO_IDS, **options):
    """A model of random parameters: the found matrix, its kind, and the parameters in float64."""
    net = small_model(name, layout, **options)
    values = randomize(net, 7)
    found = pair_strength(name, net, layout, FIELD_OF, ids)
    assert isinstance(found, PairStrength)
    assert found.fields == layout.names
    assert (found.spread is None) == (name in {"nifm", "pin"} or not len(ids))
    return np.array(found.strength, float), found.kind, values


def counted(ids):
    """How often each id stands in the rows; each once where there are none."""
    return np.bincount(ids.ravel(), minlength=SIZE) if len(ids) else np.ones(SIZE)


def relu(x):
    return np.maximum(x, 0)


def sub_networks(v, values, normalization):
    """f_ij of every pair of the vectors of a row (N, K), [PNN] (28-31): (P, D)."""
    x = np.array([np.concatenate([v[i], v[j], v[i] * v[j]]) for i, j in PAIRS])  # (P, 3 K)
    u = np.einsum("pk,pkh->ph", x, values["hidden_weight"]) + values["hidden_bias"]  # (P, H)
    if normalization != "none":
        over = {"fused": None, "layer": 1}[normalization]
        mean, variance = u.mean(axis=over, keepdims=True), u.var(axis=over, keepdims=True)
        u = (u - mean) / np.sqrt(variance + 1e-5) * values["gamma"] + values["beta"]
    return np.einsum("ph,phd->pd", relu(u), values["output_weight"]) + values["output_bias"]


ROWS = [NO_IDS, some_ids(LAYOUTS["single"], rows=50)]


@pytest.mark.parametrize("ids", ROWS, ids=["each id once", "by the rows"])
@pytest.mark.parametrize("name", INNER)
def test_models_of_inner_products(name, ids):
    found, kind, values = looked_at(name, ids=ids)
    v = means(values["embedding.embedding_weight"], counted(ids))
    np.testing.assert_allclose(found, matrix([v[i] @ v[j] for i, j in PAIRS]), rtol=1e-6)
    assert kind == "inner products of mean embeddings"


@pytest.mark.parametrize("sizes", [(), SIZES], ids=["one size", "a size each"])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", ["kfm", "kpnn"])
def test_models_of_kernel_products(name, kernel, sizes):
    found, kind, values = looked_at(name, ids=ROWS[1], kernel=kernel, embedding_sizes=sizes)
    v = means(values["embedding.embedding_weight"], counted(ROWS[1]))
    for i, size in enumerate(sizes or (K,) * 4):
        v[i, size:] = 0
    (phi,) = (value for key, value in values.items() if key in {"product.weight", "product.0.weight"})
    whole = [each if kernel == "matrix" else np.eye(K) * each for each in phi]
    expected = [
        sum(v[i][k] * whole[p][k][m] * v[j][m] for k in range(K) for m in range(K)) for p, (i, j) in enumerate(PAIRS)
    ]
    np.testing.assert_allclose(found, matrix(expected), rtol=1e-6, atol=1e-12)
    assert kind == "kernel products of mean embeddings"


def spreads(name, ids, layout, **options):
    """A model of random parameters: the found spreads of its pairs, and its parameters."""
    net = small_model(name, layout, **options)
    values = randomize(net, 7)
    return np.array(pair_strength(name, net, layout, FIELD_OF, ids).spread, float), values


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_spread_is_that_of_the_products_of_centred_vectors_over_the_rows(layout, monkeypatch):
    monkeypatch.setattr("pnn_gluon.explaining.pair_strength.BATCH_ROWS", 7)
    ids = some_ids(layout, rows=40)
    for name, options in (("ipnn", {}), ("kfm", {"embedding_sizes": SIZES}), ("ffm", {})):
        found, values = spreads(name, ids, layout, **options)
        v = field_vectors(layout, ids, values["embedding.embedding_weight"])
        v = v - v.mean(axis=0)
        products = {
            "ipnn": lambda i, j, p, v=v, values=values: (v[:, i] * v[:, j]).sum(axis=1),
            "kfm": lambda i, j, p, v=v, values=values: np.einsum(
                "bk,kl,bl->b",
                v[:, i, : SIZES[i]],
                values["product.weight"][p][: SIZES[i], : SIZES[j]],
                v[:, j, : SIZES[j]],
            ),
            "ffm": lambda i, j, p, v=v, values=values: (
                v.reshape(40, 4, 3, K)[:, i, j - 1] * v.reshape(40, 4, 3, K)[:, j, i]
            ).sum(axis=1),
        }[name]
        expected = [products(i, j, p).std() for p, (i, j) in enumerate(PAIRS)]
        np.testing.assert_allclose(found, matrix(expected), rtol=1e-4, err_msg=name)


def test_what_a_pair_tells_only_together_is_in_its_spread_and_not_in_its_mean():
    layout, random = LAYOUTS["single"], np.random.default_rng(1)
    net = small_model("fm", layout)
    table = np.zeros((SIZE, K))
    table[[1, 5], 0] = 1, -1  # field a: its two ids are each other's opposite, and so are those of b
    table[[2, 6], 0] = 1, -1
    table[[3, 7], 1] = 0.5  # field c and d: the same vector whatever the value
    table[4, 1] = 0.5
    net.initialize()
    net.embedding.embedding_weight.set_data(mx.nd.array(table))
    ids = np.column_stack([random.choice(pair, 4000) for pair in ([1, 5], [2, 6], [3, 7], [4])]).astype(np.int32)
    found = pair_strength("fm", net, layout, FIELD_OF, ids)
    assert abs(found.strength[0][1]) < 0.01 < found.strength[2][3] == pytest.approx(0.25)
    assert found.spread[0][1] == pytest.approx(1, abs=0.01)
    assert found.spread[2][3] == pytest.approx(0, abs=1e-6)


def test_field_aware_vectors():
    found, kind, values = looked_at("ffm", ids=ROWS[1])
    v = means(values["embedding.embedding_weight"], counted(ROWS[1])).reshape(4, 3, K)
    towards = {i: [j for j in range(4) if j != i] for i in range(4)}  # the partners of the vectors of a field, in order
    expected = [v[i][towards[i].index(j)] @ v[j][towards[j].index(i)] for i, j in PAIRS]
    np.testing.assert_allclose(found, matrix(expected), rtol=1e-6)
    assert kind == "inner products of mean field-aware embeddings"


@pytest.mark.parametrize("normalization", SUBNET_NORMALIZATIONS)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_sub_networks_of_pin(layout, normalization):
    ids = some_ids(layout, rows=30)
    found, kind, values = looked_at("pin", layout, ids, subnet_normalization=normalization)
    v = field_vectors(layout, ids, values["embedding.embedding_weight"])
    outputs = np.array([sub_networks(row, within(values, "product"), normalization) for row in v])  # (B, P, D)
    np.testing.assert_allclose(found, matrix(np.abs(outputs).mean(axis=(0, 2))), rtol=1e-4)
    assert kind == "mean absolute outputs of sub-networks"


def test_the_sub_networks_of_nifm():
    ids = some_ids(LAYOUTS["single"], rows=30)
    found, _, values = looked_at("nifm", ids=ids, embedding_sizes=SIZES)
    v = field_vectors(LAYOUTS["single"], ids, values["embedding.embedding_weight"])
    for i, size in enumerate(SIZES):
        v[:, i, size:] = 0
    weight, bias, output = (values[f"product.{part}"] for part in ("hidden_weight", "hidden_bias", "output_weight"))
    expected = [
        np.abs(relu(np.hstack([v[:, i], v[:, j]]) @ weight[p] + bias[p]) @ output[p]).mean()
        for p, (i, j) in enumerate(PAIRS)
    ]
    np.testing.assert_allclose(found, matrix(expected), rtol=1e-4)


@pytest.mark.parametrize("name", ["fm", "kfm", "ffm"])
def test_on_a_single_row_the_numbers_of_a_factorization_machine_are_the_terms_of_its_logit(name):
    layout, ids = LAYOUTS["single"], np.array([[1, 2, 3, 4]], np.int32)
    net = small_model(name, layout)
    values = randomize(net, 7)
    found = pair_strength(name, net, layout, FIELD_OF, ids)
    terms = sum(found.strength[i][j] for i, j in PAIRS)
    rest = linear(layout, ids, values["linear.linear_weight"], values["linear.bias"])
    np.testing.assert_allclose(predict_logits(net, ids), rest + terms, rtol=1e-5)


def test_a_field_without_ids_in_the_rows_has_a_mean_of_zeros():
    table, counts = np.ones((SIZE, K)), np.zeros(SIZE)
    counts[[0, 1, 5]] = 4, 1, 2
    np.testing.assert_array_equal(mean_embeddings(table, FIELD_OF, counts, 4), [[1] * K, [0] * K, [0] * K, [0] * K])


def test_every_other_network_says_in_words_why_it_has_none():
    with_pairs = {*INNER, "kfm", "kpnn", "ffm", "nifm", "pin"}
    for name in set(declared_models()) - with_pairs:
        assert pair_strength(name, None, LAYOUTS["single"], FIELD_OF, NO_IDS).startswith(name)
    assert "no rows" in pair_strength("pin", small_model("pin", LAYOUTS["single"]), LAYOUTS["single"], FIELD_OF, NO_IDS)
    assert "model of your own" in pair_strength("own.models:Mine", None, LAYOUTS["single"], FIELD_OF, NO_IDS)
    assert "no partner" in pair_strength("fm", None, FieldLayout.single_valued(("a",)), FIELD_OF, NO_IDS)


@pytest.mark.parametrize("name", ["ipnn", "kfm", "ffm", "pin"])
def test_rows_with_weights_have_the_pairs_of_the_same_rows_written_out(name, monkeypatch):
    monkeypatch.setattr("pnn_gluon.explaining.pair_strength.BATCH_ROWS", 7)
    layout, times = LAYOUTS["single"], np.arange(40) % 5 + 1
    ids, net = some_ids(layout, rows=40), small_model(name, layout)
    randomize(net, 7)
    found = pair_strength(name, net, layout, FIELD_OF, ids, times.astype(float))
    expected = pair_strength(name, net, layout, FIELD_OF, np.repeat(ids, times, axis=0))
    alike = pair_strength(name, net, layout, FIELD_OF, ids)
    for numbers in ("strength", "spread"):
        told, other, plain = (getattr(each, numbers) for each in (found, expected, alike))
        if told is None:
            assert (name, numbers, other) == ("pin", "spread", None)
            continue
        np.testing.assert_allclose(np.array(told, float), np.array(other, float), rtol=1e-5)
        assert not np.allclose(np.array(told, float), np.array(plain, float), rtol=1e-3, equal_nan=True)
