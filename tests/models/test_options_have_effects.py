"""Every option that a configuration accepts changes the network or its training; derived from the networks."""

import json

import pytest
from model_checks import LAYOUTS, SIZE
from other_values import other_value
from pydantic import ValidationError

from pnn_gluon.blocks.id_table import is_row_parameter
from pnn_gluon.config import ModelConfig
from pnn_gluon.errors import ConfigError
from pnn_gluon.idle_options import idle_training_options
from pnn_gluon.models.declared import declared
from pnn_gluon.models.registry import MODELS, create_model
from pnn_gluon.ops import native_operators
from pnn_gluon.runtime import mx
from pnn_gluon.training.optimizer import make_trainer
from pnn_gluon.training.options import TrainingOptions
from pnn_gluon.training.parameters import named_parameters
from pnn_gluon.training.pretraining import matching_fm

LAYOUT = LAYOUTS["multi"]
NEEDED = {"din": {"candidate": "a", "history": "tags"}}
"""Options that a model cannot be without."""


def bases(name):
    """Options of the model with and without hidden layers."""
    needed = NEEDED.get(name, {})
    return [needed | {"hidden": h} for h in ((), (6,))] if "hidden" in declared(name).options else [needed]


def graph_of(net):
    return json.loads(net(mx.sym.var("ids")).tojson())["nodes"]


def what_it_is(name, **options):
    """The network's operators with their attributes, and its parameters' shapes and starting values."""
    net = create_model(name, LAYOUT, SIZE, **options)
    parameters = [
        (p.shape, p.init.dumps() if isinstance(p.init, mx.init.Initializer) else p.init)
        for p in net.collect_params().values()
    ]
    return graph_of(net), parameters


def is_accepted(name, options):
    try:
        ModelConfig(name=name, **options)
    except ValidationError:
        return False
    return True


def changes(name, base, option):
    """Whether the option changes the network; one that the model itself refuses changes nothing."""
    try:
        return what_it_is(name, **base, **{option: other_value(name, option)}) != what_it_is(name, **base)
    except ConfigError:
        return False


@pytest.mark.parametrize("name", MODELS)
def test_a_model_option_is_accepted_where_it_changes_the_network_and_refused_where_not(name):
    for base in bases(name):
        for option in declared(name).options.keys() - base.keys() - {"history"}:
            accepted = is_accepted(name, base | {option: other_value(name, option)})
            assert accepted == changes(name, base, option), (base, option)


def test_crosses_have_buckets():
    assert changes("wdl", {"crosses": (("a", "b"),), "hidden": ()}, "cross_buckets")


def has_dense_weights(net):
    net.initialize()
    make_trainer(net, TrainingOptions(weight_decay=0.5))
    return any(parameter.wd_mult == 0.5 for parameter in net.collect_params().values())


def has_attention_weights(net):
    return any("attention" in n and n.endswith("weight") and not is_row_parameter(n) for n in net.collect_params())


def has_wide_layer(net):
    return any(
        node["op"] in {"pnn_pair_network", "pnn_feature_maps", "pnn_field_attention"}
        or (node["op"] == "pnn_kernel_products" and node["attrs"]["kernel"] == "matrix")
        or (node["op"] in {"pnn_dense", "pnn_normalized_dense"} and int(node["attrs"]["units"]) > 4)
        for node in graph_of(net)
    )


def takes_tables_of_an_fm(net, fm):
    theirs = named_parameters(fm)["embedding.embedding_weight"]
    own = named_parameters(net).get("embedding.embedding_weight")
    return own is not None and own.shape == theirs.shape


@pytest.mark.skipif(not native_operators(), reason="precision belongs to the native operators")
@pytest.mark.parametrize("name", MODELS)
def test_an_option_of_training_is_idle_where_the_network_has_nothing_for_it(name):
    needed = NEEDED.get(name, {})
    narrow = [needed | {"hidden": (3,)}] if "hidden" in declared(name).options else []
    for base in [*bases(name), *narrow, needed]:
        net = create_model(name, LAYOUT, SIZE, **base)
        has = {
            "precision": has_wide_layer(net),
            "pretrain_epochs": takes_tables_of_an_fm(net, matching_fm(name, LAYOUT, SIZE, base)),
            "attention_l2": has_attention_weights(net),
            "weight_decay": has_dense_weights(net),
        }
        assert set(idle_training_options(name, base)) == {option for option in has if not has[option]}, base
