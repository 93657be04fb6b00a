import numpy as np
import pytest
from numpy_models import int32

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


OTHER = {
    "embedding_size": 7,
    "embedding_init": "size",
    "init_scale": 3.0,
    "hidden": (6, 5),
    "activation": "tanh",
    "dropout": 0.5,
    "normalization": "none",
    "din.normalization": "batch",
    "ccpm.normalization": "batch",
    "attention_size": 3,
    "temperature": 0.1,
    "pooling_dropout": 0.5,
    "kernel": "vector",
    "embedding_sizes": (1, 2, 10),
    "subnet_hidden": 3,
    "subnet_outputs": 3,
    "subnet_normalization": "none",
    "kernel_width": 2,
    "filters": (2, 2),
    "pooled_values": 3,
    "crosses": (("a", "b"),),
    "cross_buckets": 7,
    "residual_units": (5, 2),
    "pieces": 7,
    "cross_layers": 1,
    "feature_maps": (2,),
    "attention_layers": 1,
    "heads": 1,
    "head_size": 3,
    "candidate": "c",
    "history": "c",
    "attention_hidden": (2, 2),
    "attention_activation": "relu",
}
"""Another value of each option than any model's default; under `model.option` for a model whose default it is."""

NEEDS = {
    "cross_buckets": {"crosses": (("a", "b"),)},
    "autoint": {"hidden": (5,)},
    "din": {"candidate": "a", "history": "b"},
}
"""Options without which another one, or any of a model, is refused."""


@pytest.mark.parametrize(("name", "option"), [(name, option) for name in MODELS for option in model_options(name)])
def test_every_option_has_an_effect(name, option):
    def output(**options):
        net = create_model(name, LAYOUT, 9, **{**NEEDS.get(name, {}), **NEEDS.get(option, {}), **options})
        mx.random.seed(1)
        net.initialize()
        leave_zero(net)
        with mx.autograd.train_mode():
            return net(int32(np.array([[1, 2, 3], [4, 1, 2]]))).asnumpy()

    assert not np.array_equal(output(), output(**{option: OTHER.get(f"{name}.{option}", OTHER[option])}))


def leave_zero(net):
    """Values from -1 to 1, no draws, for parameters that start at 0: weights at 0 would hide what they are for."""
    for parameter in net.collect_params().values():
        if parameter.grad_req != "null" and not parameter.data().asnumpy().any():
            parameter.set_data(mx.nd.array(np.linspace(-1, 1, parameter.data().size).reshape(parameter.shape)))
