"""Options that change nothing beside the others, and why: refused where somebody asked for them.

Written as tables, for the configuration loads no MXNet. Tests derive the same from the networks: which have dense
weights, dense layers and an embedding that a factorization machine can give them, with hidden layers and without.
"""

from collections.abc import Mapping
from typing import Any

_NO_DENSE_WEIGHT = frozenset({"lr", "fm", "ffm", "hofm", "mlr"})
_NO_SHARED_EMBEDDING = frozenset({"lr", "mlr", "ffm"})
_ATTENTION = frozenset({"afm", "autoint"})
_DENSE_BESIDE_HIDDEN = frozenset({"afm", "autoint", "din", "xdeepfm", "deepcross"})
_NORMALIZED_BESIDE_HIDDEN = frozenset({"ipnn", "kpnn", "pnn_star", "nfm"})
_HIDDEN_ON_DEMAND = frozenset({"autoint"})
_EXACT_UNITS = 4
"""Dense layers of up to so many units are float32 with any precision, see `pnn_gluon.blocks.dense`."""

_NO_HIDDEN = "has no effect without hidden layers: leave it out, or give `hidden` one or more widths"


def idle_model_options(model: str, takes: frozenset[str], given: Mapping[str, Any]) -> dict[str, str]:
    """Of the options given for a model those without effect, each with the reason.

    Args:
        model: Its name.
        takes: The options it takes.
        given: Its options by name.
    """
    idle = {}
    if given.get("cross_buckets") and not given.get("crosses"):
        idle["cross_buckets"] = "has no effect without `crosses`: give both or neither"
    if "hidden" in takes and _hidden(model, given) == ():
        of_hidden = {"activation", "dropout"} | ({"normalization"} - _normalized_beside_hidden(model))
        idle |= {option: _NO_HIDDEN for option in sorted(of_hidden & given.keys()) if given[option]}
    return idle


def idle_training_options(model: str, takes: frozenset[str], given: Mapping[str, Any]) -> dict[str, str]:
    """The options of training that have no effect on a network, each with the reason; arguments as above."""
    idle = {}
    if model in _NO_DENSE_WEIGHT:
        idle["weight_decay"] = f"{_no_effect(model)} no dense weights: leave it out; embedding_l2 is for rows of ids"
    if model not in _ATTENTION:
        idle["attention_l2"] = f"{_no_effect(model)} no attention weights: leave it out"
    if model in _NO_SHARED_EMBEDDING:
        idle["pretrain_epochs"] = f"{_no_effect(model)} no embedding of one vector an id: leave it out"
    if model not in _DENSE_BESIDE_HIDDEN and not _has_wide_layer(model, takes, given):
        idle["precision"] = f"{_no_effect(model)} no dense layer of more than {_EXACT_UNITS} units: leave it out"
    return idle


def _normalized_beside_hidden(model: str) -> set[str]:
    return {"normalization"} if model in _NORMALIZED_BESIDE_HIDDEN else set()


def _no_effect(model: str) -> str:
    return f"has no effect on model {model!r}, which as given has"


def _has_wide_layer(model: str, takes: frozenset[str], given: Mapping[str, Any]) -> bool:
    hidden = _hidden(model, given)
    return "hidden" in takes and (hidden is None or any(width > _EXACT_UNITS for width in hidden))


def _hidden(model: str, given: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Widths of the hidden layers; None for the model's own."""
    own = () if model in _HIDDEN_ON_DEMAND else None
    widths: tuple[int, ...] | None = given.get("hidden", own)
    return widths
