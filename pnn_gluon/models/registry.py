"""Models by name; only the module of the model asked for is imported."""

import dataclasses
import difflib
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.class_options import grouped, is_group, keywords
from pnn_gluon.models.declared import is_own

if TYPE_CHECKING:
    from pnn_gluon.runtime import HybridBlock

MODELS = {
    "lr": "LR",
    "fm": "FM",
    "ffm": "FFM",
    "hofm": "HOFM",
    "afm": "AFM",
    "kfm": "KFM",
    "nifm": "NIFM",
    "fnn": "FNN",
    "ccpm": "CCPM",
    "wdl": "WDL",
    "lr_dnn": "LRDNN",
    "fm_dnn": "FMDNN",
    "deepfm": "DeepFM",
    "nfm": "NFM",
    "deepcross": "DeepCross",
    "ipnn": "IPNN",
    "kpnn": "KPNN",
    "pnn_star": "PNNStar",
    "pin": "PIN",
    "mlr": "MLR",
    "dcn": "DCN",
    "xdeepfm": "XDeepFM",
    "autoint": "AutoInt",
    "din": "DIN",
}
"""Name of each model, which is also its module, and its class."""


def model_options(name: str) -> dict[str, Any]:
    """The options that the model takes, with their defaults; those of groups such as `MLPOptions` one by one.

    Raises:
        ConfigError: no model has this name.
    """
    options: dict[str, Any] = {}
    for keyword, default in keywords(model_class(name)).items():
        options |= dataclasses.asdict(default) if is_group(default) else {keyword: default}
    return options


def create_model(name: str, layout: FieldLayout, size: int, **options: Any) -> "HybridBlock":
    """The model as a HybridBlock: ids int32 (B, S) -> logits float32 (B,); parameters have no values yet.

    Parameter names begin with the model's name (a class's) and do not depend on what the process built before.

    Args:
        name: A key of `MODELS`, or the import path of a class of the user's, see `pnn_gluon.models.own`.
        layout: The fields of a row.
        size: Number of ids V; every id is below it.
        **options: See `model_options`.

    Raises:
        ConfigError: an unknown name or option, or a value that the model refuses.
    """
    known = model_options(name)
    for option in options:
        if option not in known:
            raise ConfigError(f"model {name!r} has no option {option!r}{_suggestion(option, known)}")
    if is_own(name):
        from pnn_gluon.models.own import create_own

        return create_own(name, layout, size, options)
    block = model_class(name)
    model: HybridBlock = block(layout, size, prefix=f"{name}_", **grouped(keywords(block), options))
    return model


def model_class(name: str) -> Any:
    """The class of a model.

    Raises:
        ConfigError: no model has this name.
    """
    if is_own(name):
        from pnn_gluon.models.own import own_class

        return own_class(name)
    if name not in MODELS:
        raise ConfigError(f"there is no model {name!r}{_suggestion(name, MODELS)}")
    return getattr(import_module(f"pnn_gluon.models.{name}"), MODELS[name])


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"{meant} (known: {', '.join(known) or 'none'})"
