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
    "normalization": "batch",
}
"""Another value of each option than any model's default."""


@pytest.mark.parametrize(("name", "option"), [(name, option) for name in MODELS for option in model_options(name)])
def test_every_option_has_an_effect(name, option):
    def output(**options):
        net = create_model(name, LAYOUT, 9, **options)
        mx.random.seed(1)
        net.initialize()
        with mx.autograd.train_mode():
            return net(int32(np.array([[1, 2, 3], [4, 1, 2]]))).asnumpy()

    assert not np.array_equal(output(), output(**{option: OTHER[option]}))


def test_models_have_the_options_the_configuration_knows():
    from pnn_gluon.config import MODEL_OPTIONS

    assert {name: set(model_options(name)) for name in MODELS} == {n: set(o) for n, o in MODEL_OPTIONS.items()}
