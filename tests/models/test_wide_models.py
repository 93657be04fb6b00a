"""wdl, lr_dnn, fm_dnn: a shallow model beside a dense network that shares nothing with it."""

import tomllib

import numpy as np
import pytest
from model_checks import LAYOUTS, SIZE, check_equation, small_model, some_ids
from numpy_models import field_vectors, inner_products, int32, linear, mlp, randomize, within

from pnn_gluon.blocks.id_table import is_row_parameter
from pnn_gluon.config import ModelConfig
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.registry import create_model
from pnn_gluon.training.growth import grow_values
from pnn_gluon.training.optimizer import make_trainer
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import take_values

CROSSES, BUCKETS = (("a", "b"), ("c", "b")), 6
NO_CROSSES = {"crosses": (), "cross_buckets": None}


def lr(layout, ids, values):
    return linear(layout, ids, values["linear.linear_weight"], values["linear.bias"])


def deep(layout, ids, values, table):
    v = field_vectors(layout, ids, values[f"{table}.embedding_weight"])
    return mlp(v.reshape(len(ids), -1), within(values, "mlp"), 2)[:, 0]


def lr_dnn(layout, ids, values):
    return lr(layout, ids, values) + deep(layout, ids, values, "embedding")


def fm_dnn(layout, ids, values):
    v = field_vectors(layout, ids, values["embedding.embedding_weight"])
    return lr(layout, ids, values) + inner_products(v).sum(axis=1) + deep(layout, ids, values, "deep_embedding")


def crossed(layout, row, values):
    """The weights of the crosses of one row; the bucket rule in Python's integers."""
    total = 0.0
    for cross, pair in enumerate(CROSSES):
        a, b = (int(row[layout.starts[layout.names.index(name)]]) for name in pair)
        if a and b:
            g = (2_096_233 * a + b) % (2**31 - 1) * 1_601_023 % (2**31 - 1)
            bucket = 1 + g * (1 + g % 2**21) % (2**31 - 1) % BUCKETS
            total += values[f"crosses.pairs.{cross}.cross_weight"][bucket, 0]
    return total


def wdl(layout, ids, values):
    return lr_dnn(layout, ids, values) + np.array([crossed(layout, row, values) for row in ids])


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("oracle", [lr_dnn, fm_dnn], ids=lambda oracle: oracle.__name__)
def test_logits_and_gradients_equal_the_equation(oracle, layout, hybrid):
    check_equation(oracle.__name__, oracle, layout, hybrid)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(
    ("oracle", "options"),
    [(wdl, {"crosses": CROSSES, "cross_buckets": BUCKETS}), (lr_dnn, NO_CROSSES)],
    ids=["crosses", "no crosses"],
)
def test_wide_and_deep_equals_the_equation(oracle, options, layout, hybrid):
    check_equation("wdl", oracle, layout, hybrid, **options)


def test_wide_and_deep_without_crosses_is_lr_dnn_bit_for_bit():
    layout = LAYOUTS["multi"]
    nets = small_model("wdl", layout, **NO_CROSSES), small_model("lr_dnn", layout)
    values = [randomize(net, 5) for net in nets]
    assert values[0].keys() == values[1].keys()
    ids = int32(some_ids(layout))
    np.testing.assert_array_equal(nets[0](ids).asnumpy(), nets[1](ids).asnumpy())


def test_fm_dnn_with_equal_embeddings_is_deepfm():
    layout = LAYOUTS["multi"]
    fm_dnn, deepfm = small_model("fm_dnn", layout), small_model("deepfm", layout)
    for net in (fm_dnn, deepfm):
        randomize(net, 6)
    fm_dnn.deep_embedding.embedding_weight.set_data(fm_dnn.embedding.embedding_weight.data())
    for name, parameter in deepfm._collect_params_with_prefix().items():
        parameter.set_data(fm_dnn._collect_params_with_prefix()[name].data())
    ids = int32(some_ids(layout))
    np.testing.assert_array_equal(fm_dnn(ids).asnumpy(), deepfm(ids).asnumpy())


def test_buckets_are_a_hundred_thousand_unless_told():
    net = create_model("wdl", LAYOUTS["single"], SIZE, crosses=[["a", "b"]])
    assert net.crosses.pairs[0].cross_weight.shape == (100_001, 1)


def test_crosses_written_as_lists_in_a_configuration_reach_the_model():
    written = tomllib.loads('name = "wdl"\ncrosses = [["a", "b"], ["c", "b"]]\ncross_buckets = 5')
    net = create_model("wdl", LAYOUTS["single"], SIZE, **ModelConfig.model_validate(written).options)
    assert [cross.cross_weight.shape for cross in net.crosses.pairs] == [(6, 1), (6, 1)]


def test_buckets_without_crosses_are_refused():
    with pytest.raises(ConfigError, match="cross_buckets = 7 has no effect without crosses"):
        create_model("wdl", LAYOUTS["single"], SIZE, cross_buckets=7)


def test_weights_of_crosses_stay_when_the_map_grows_and_decay_as_dense_weights():
    net = small_model("wdl", LAYOUTS["single"], crosses=CROSSES, cross_buckets=BUCKETS)
    randomize(net, 7)
    grown = grow_values(take_values(net), np.array([2, 3]))
    tables = [f"crosses.pairs.{cross}.cross_weight" for cross in range(2)]
    assert {name: grown[name].shape for name in tables} == dict.fromkeys(tables, (BUCKETS + 1, 1))
    assert grown["linear.linear_weight"].shape == (SIZE + 2, 1)
    make_trainer(net, TrainingOptions(weight_decay=0.25, embedding_l2=0.5))
    for parameter in net.collect_params(".*cross_weight").values():
        assert not is_row_parameter(parameter.name)
        assert parameter.wd_mult == 0.25
