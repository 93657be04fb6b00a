"""Models by name; only the module of the model asked for is imported."""

import dataclasses
import difflib
import inspect
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeGuard

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

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
        options |= dataclasses.asdict(default) if _is_group(default) else {keyword: default}
    return options


def create_model(name: str, layout: FieldLayout, size: int, **options: Any) -> "HybridBlock":
    """The model as a HybridBlock: ids int32 (B, S) -> logits float32 (B,); parameters have no values yet.

    Parameter names begin with the model's name and do not depend on what the process built before.

    Args:
        name: A key of `MODELS`.
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
    block = model_class(name)
    model: HybridBlock = block(layout, size, prefix=f"{name}_", **_grouped(keywords(block), options))
    return model


def keywords(block: Any) -> dict[str, Any]:
    """The keywords of a model's class with their defaults; a default that is a dataclass is a group of options."""
    parameters = inspect.signature(block).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _is_group(default: object) -> "TypeGuard[DataclassInstance]":
    return dataclasses.is_dataclass(default) and not isinstance(default, type)


def _grouped(keywords: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options by keyword: those of a group put into it."""
    grouped: dict[str, Any] = {}
    for keyword, default in keywords.items():
        if _is_group(default):
            inside = {field.name for field in dataclasses.fields(default)} & options.keys()
            grouped[keyword] = dataclasses.replace(default, **{option: options[option] for option in inside})
        elif keyword in options:
            grouped[keyword] = options[keyword]
    return grouped


def model_class(name: str) -> Any:
    """The class of a model.

    Raises:
        ConfigError: no model has this name.
    """
    if name not in MODELS:
        raise ConfigError(f"there is no model {name!r}{_suggestion(name, MODELS)}")
    return getattr(import_module(f"pnn_gluon.models.{name}"), MODELS[name])


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"{meant} (known: {', '.join(known) or 'none'})"
