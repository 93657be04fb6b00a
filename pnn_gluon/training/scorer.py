"""What scores encoded rows: a network or gradient boosted trees, whichever the model's name says."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.models.gbdt import CARD_FILE, GBDT
from pnn_gluon.processor import processor_features
from pnn_gluon.training.options import GBDT_NAME, PrecisionName

if TYPE_CHECKING:
    from pnn_gluon.runtime import HybridBlock


class Scorer(Protocol):
    """A fitted model of any kind."""

    def logits(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Logits (rows,) of ids int32 (rows, S); a row's bits do not depend on the rows beside it."""


class NetworkScorer:
    """A network of `create_model` or `load_exported` as a scorer, its dense layers of some precision."""

    def __init__(self, net: "HybridBlock", precision: PrecisionName = "auto") -> None:
        self._net, self._precision = net, precision

    def logits(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Logits (rows,) of ids int32 (rows, S); see `pnn_gluon.training.export.predict_logits`."""
        from pnn_gluon.ops import dense_precision
        from pnn_gluon.training.export import predict_logits

        with dense_precision(self._precision):
            return predict_logits(self._net, ids)


def parameters_file(model: str) -> str:
    """The file of a model of this name whose hash names all its parameters."""
    if model == GBDT_NAME:
        return CARD_FILE
    from pnn_gluon.training.export import PARAMETERS_FILE

    return PARAMETERS_FILE


def load_scorer(
    folder: Path, model: Mapping[str, Any], layout: FieldLayout, precision: PrecisionName = "auto"
) -> Scorer:
    """The fitted model in a folder; MXNet is loaded for networks only.

    Where native operators serve, a network is built anew from its description and computes with them; else it is the
    exported graph. Logits of the two differ in the last bits.

    Args:
        folder: What `export_model` or `GBDT.save` wrote.
        model: Its name, options and size, as the manifest of a model and the card of a bundle have them.
        layout: The fields of its rows.
        precision: How dense layers multiply, see `pnn_gluon.ops.PRECISIONS`.

    Raises:
        InputError: a file is missing, damaged or of another model.
        ConfigError: this version of the program has no such model or option, or the model no such precision here.
    """
    if model["name"] == GBDT_NAME:
        if precision != "auto":
            raise ConfigError(f"precision {precision!r} has no effect on model {GBDT_NAME!r}: leave it out")
        return GBDT.load(folder)
    from pnn_gluon.models.registry import create_model
    from pnn_gluon.ops import dense_precision, native_operators
    from pnn_gluon.training.export import load_exported, restore_exported

    with dense_precision(precision):  # raises if it cannot be had
        if not native_operators():
            return NetworkScorer(load_exported(folder), precision)
    options = {name: _with_tuples(value) for name, value in model["options"].items()}
    net = create_model(model["name"], layout, model["size"], **options)
    return NetworkScorer(restore_exported(net, folder), precision)


def _with_tuples(value: Any) -> Any:
    """An option as models take it: JSON has lists for tuples."""
    return tuple(_with_tuples(each) for each in value) if isinstance(value, list) else value


def last_bits(model: str, precision: PrecisionName = "auto") -> dict[str, str]:
    """What the last bits of parameters and logits of a model of this name depend on besides inputs and options.

    With a precision below float32 these are not only the last bits.
    """
    if model == GBDT_NAME:
        import xgboost as xgb

        return {"xgboost": xgb.__version__, "processor": processor_features()}
    from pnn_gluon.ops import chosen_precision, dense_precision, operators
    from pnn_gluon.runtime import mx

    with dense_precision(precision):
        return {
            "mxnet": mx.__version__,
            "threads": os.environ["OMP_NUM_THREADS"],
            "processor": processor_features(),
            "operators": operators(),
            "precision": chosen_precision(),
        }
