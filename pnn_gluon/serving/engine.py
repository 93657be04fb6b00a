"""What computes the logits of a bundle with MXNet; `pnn_gluon.portable.onnx_engine` does without."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError
from pnn_gluon.training.families import family_of
from pnn_gluon.training.family import Scorer
from pnn_gluon.training.options import PrecisionName


class Engine(Protocol):
    """How the model in a bundle's folder is loaded, and what its last bits depend on then."""

    def load(self, folder: Path, model: Mapping[str, Any], layout: FieldLayout) -> Scorer:
        """The model in a folder.

        Args:
            folder: The bundle's.
            model: Its name, options and size, as the card has them.
            layout: The fields of a row.

        Raises:
            InputError: a file is missing or damaged.
            ConfigError: the model cannot be computed this way.
        """

    def last_bits(self, model: str) -> dict[str, str]:
        """What the last bits of its logits depend on besides bundle and row."""


class NativeEngine:
    """Our operators where they serve, else the plain graph; trees by XGBoost.

    Args:
        precision: How dense layers multiply, see `pnn_gluon.ops.PRECISIONS`.
    """

    def __init__(self, precision: PrecisionName = "auto") -> None:
        self._precision = precision

    def load(self, folder: Path, model: Mapping[str, Any], layout: FieldLayout) -> Scorer:
        """See `pnn_gluon.training.family.Family.load`."""
        return family_of(model["name"]).load(folder, model, layout, self._precision)

    def last_bits(self, model: str) -> dict[str, str]:
        """See `pnn_gluon.training.family.Family.last_bits`."""
        return family_of(model).last_bits(model, self._precision)


class PlainEngine:
    """The plain graph by MXNet's own operators."""

    def load(self, folder: Path, model: Mapping[str, Any], layout: FieldLayout) -> Scorer:
        """The exported network; what is no network is refused."""
        from pnn_gluon.ops import plain_operators
        from pnn_gluon.training.export import SYMBOL_FILE

        if not (folder / SYMBOL_FILE).is_file():
            raise ConfigError(f"model {model['name']!r} is no network and has no plain graph: leave the engine out")
        with plain_operators():
            return family_of(model["name"]).load(folder, model, layout)

    def last_bits(self, model: str) -> dict[str, str]:
        """Those of MXNet's operators."""
        from pnn_gluon.ops import plain_operators

        with plain_operators():
            return family_of(model).last_bits(model)


NATIVE: Engine = NativeEngine()
"""With the precision that is chosen where nothing else is asked for."""
