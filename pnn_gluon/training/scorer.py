"""What scores encoded rows: an exported network or gradient boosted trees, whichever the model's name says."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.models.gbdt import CARD_FILE, GBDT
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


def load_scorer(folder: Path, model: str) -> Scorer:
    """The fitted model in a folder, by the model's name; MXNet is loaded for networks only.

    Raises:
        InputError: a file is missing or damaged.
    """
    if model == GBDT_NAME:
        return GBDT.load(folder)
    from pnn_gluon.training.export import load_exported

    return NetworkScorer(load_exported(folder))
