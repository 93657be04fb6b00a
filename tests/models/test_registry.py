import numpy as np
import pytest
from model_checks import LAYOUTS, SIZE, some_ids
from numpy_models import int32
from other_values import other_value

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.registry import MODELS, create_model, model_options
from pnn_gluon.runtime import mx

LAYOUT = FieldLayout.single_valued(("a", "b", "c"))


def test_options_are_the_keywords_of_the_model_with_their_defaults():
    assert model_options("lr") == {}
    assert model_options("fm") == {"embedding_size": 10, "embedding_init": "fields", "init_scale": 1.0}
    assert model_options("ipnn") == model_options("fm") | {
        "hidden": (400, 400, 400),
        "activation": "relu",
        "dropout": 0.0,
        "normalization": "layer",
    }


@pytest.mark.parametrize(
    ("name", "meant"), [("ipn", "did you mean 'ipnn'"), ("deepFM", "did you mean 'deepfm'"), ("zzz", "known: lr, fm")]
)
def test_unknown_models_are_refused_with_a_suggestion(name, meant):
    with pytest.raises(ConfigError, match=meant):
        create_model(name, LAYOUT, 5)


@pytest.mark.parametrize(
    ("name", "option", "meant"),
    [("ipnn", "dropuot", "did you mean 'dropout'"), ("lr", "embedding_size", "known: none"), ("fm", "prefix", "known")],
)
def test_unknown_options_are_refused_with_a_suggestion(name, option, meant):
    with pytest.raises(ConfigError, match=meant):
        create_model(name, LAYOUT, 5, **{option: 1})


NEEDS = {
    "cross_buckets": {"crosses": (("a", "b"),)},
    "autoint": {"hidden": (5,)},
    "din": {"candidate": "a", "history": "tags"},
}
"""Options without which another one, or any of a model, is refused."""


@pytest.mark.parametrize(("name", "option"), [(name, option) for name in MODELS for option in model_options(name)])
def test_every_option_has_an_effect(name, option):
    def output(**options):
        net = create_model(name, LAYOUTS["multi"], SIZE, **{**NEEDS.get(name, {}), **NEEDS.get(option, {}), **options})
        mx.random.seed(1)
        net.initialize()
        leave_zero(net)
        with mx.autograd.train_mode():
            return net(int32(some_ids(LAYOUTS["multi"]))).asnumpy()

    assert not np.array_equal(output(), output(**{option: other_value(name, option)}))


def leave_zero(net):
    """Values from -1 to 1, no draws, for parameters that start at 0: weights at 0 would hide what they are for."""
    for parameter in net.collect_params().values():
        if parameter.grad_req != "null" and not parameter.data().asnumpy().any():
            parameter.set_data(mx.nd.array(np.linspace(-1, 1, parameter.data().size).reshape(parameter.shape)))
