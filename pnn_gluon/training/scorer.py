"""What scores encoded rows: a network or gradient boosted trees, whichever the model's name says."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.gbdt import CARD_FILE, GBDT
from pnn_gluon.processor import processor_features
from pnn_gluon.training.options import GBDT_NAME

if TYPE_CHECKING:
    from pnn_gluon.runtime import HybridBlock


class Scorer(Protocol):
    """A fitted model of any kind."""

    def logits(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Logits (rows,) of ids int32 (rows, S); a row's bits do not depend on the rows beside it."""


class NetworkScorer:
    """A network of `create_model` or `load_exported` as a scorer."""

    def __init__(self, net: "HybridBlock") -> None:
        self._net = net

    def logits(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Logits (rows,) of ids int32 (rows, S); see `pnn_gluon.training.export.predict_logits`."""
        from pnn_gluon.training.export import predict_logits

        return predict_logits(self._net, ids)


def parameters_file(model: str) -> str:
    """The file of a model of this name whose hash names all its parameters."""
    if model == GBDT_NAME:
        return CARD_FILE
    from pnn_gluon.training.export import PARAMETERS_FILE

    return PARAMETERS_FILE


def load_scorer(folder: Path, model: Mapping[str, Any], layout: FieldLayout) -> Scorer:
    """The fitted model in a folder; MXNet is loaded for networks only.

    Where native operators serve, a network is built anew from its description and computes with them; else it is the
    exported graph. Logits of the two differ in the last bits.

    Args:
        folder: What `export_model` or `GBDT.save` wrote.
        model: Its name, options and size, as the manifest of a model and the card of a bundle have them.
        layout: The fields of its rows.

    Raises:
        InputError: a file is missing, damaged or of another model.
        ConfigError: this version of the program has no such model or option.
    """
    if model["name"] == GBDT_NAME:
        return GBDT.load(folder)
    from pnn_gluon.models.registry import create_model
    from pnn_gluon.ops import native_operators
    from pnn_gluon.training.export import load_exported, restore_exported

    if not native_operators():
        return NetworkScorer(load_exported(folder))
    options = {name: _with_tuples(value) for name, value in model["options"].items()}
    return NetworkScorer(restore_exported(create_model(model["name"], layout, model["size"], **options), folder))


def _with_tuples(value: Any) -> Any:
    """An option as models take it: JSON has lists for tuples."""
    return tuple(_with_tuples(each) for each in value) if isinstance(value, list) else value


def last_bits(model: str) -> dict[str, str]:
    """What the last bits of parameters and logits of a model of this name depend on besides inputs and options."""
    if model == GBDT_NAME:
        import xgboost as xgb

        return {"xgboost": xgb.__version__, "processor": processor_features()}
    from pnn_gluon.ops import operators
    from pnn_gluon.runtime import mx

    return {
        "mxnet": mx.__version__,
        "threads": os.environ["OMP_NUM_THREADS"],
        "processor": processor_features(),
        "operators": operators(),
    }
