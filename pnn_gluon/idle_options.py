"""Options that change nothing beside the others, and why: refused where somebody asked for them.

What the networks have stands in the table of declarations, for the configuration loads no MXNet. Tests derive the same
from training: dense weights, dense layers and an embedding that a factorization machine can give them.
"""

from collections.abc import Mapping
from typing import Any

from pnn_gluon.models.declared import Declared, declared

_EXACT_UNITS = 4
"""Dense layers of up to so many units are float32 with any precision, see `pnn_gluon.blocks.dense`."""

_NO_HIDDEN = "has no effect without hidden layers: leave it out, or give `hidden` one or more widths"


def idle_model_options(model: str, given: Mapping[str, Any]) -> dict[str, str]:
    """Of the options given for a model those without effect, each with the reason.

    Args:
        model: Its name.
        given: Its options by name.
    """
    idle = {}
    if "crosses" in declared(model).options and given.get("cross_buckets") and not given.get("crosses"):
        idle["cross_buckets"] = "has no effect without `crosses`: give both or neither"
    if _hidden(declared(model), given) == ():
        normalized = "normalized_without_hidden" in declared(model).has
        of_hidden = {"activation", "dropout"} | (set() if normalized else {"normalization"})
        idle |= {option: _NO_HIDDEN for option in sorted(of_hidden & given.keys()) if given[option]}
    return idle


def idle_training_options(model: str, given: Mapping[str, Any]) -> dict[str, str]:
    """The options of training that have no effect on a network, each with the reason; arguments as above."""
    idle, whole = {}, declared(model)
    if "dense" not in whole.has:
        idle["weight_decay"] = f"{_no_effect(model)} no dense weights: leave it out; embedding_l2 is for rows of ids"
    if "attention" not in whole.has:
        idle["attention_l2"] = f"{_no_effect(model)} no attention weights: leave it out"
    if "shared_embedding" not in whole.has:
        idle["pretrain_epochs"] = f"{_no_effect(model)} no embedding of one vector an id: leave it out"
    matrix = given.get("kernel", "matrix") == "matrix"  # other kernels are float32 always
    if not ("wide_without_hidden" in whole.has and matrix) and not _has_wide_layer(whole, given):
        idle["precision"] = f"{_no_effect(model)} no dense layer of more than {_EXACT_UNITS} units: leave it out"
    return idle


def _no_effect(model: str) -> str:
    return f"has no effect on model {model!r}, which as given has"


def _has_wide_layer(model: Declared, given: Mapping[str, Any]) -> bool:
    return any(width > _EXACT_UNITS for width in _hidden(model, given) or ())


def _hidden(model: Declared, given: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Widths of the hidden layers; None for a model that takes none."""
    if "hidden" not in model.options:
        return None
    widths: tuple[int, ...] = given.get("hidden", model.options["hidden"].default)
    return widths
