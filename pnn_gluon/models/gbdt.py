"""Gradient boosted decision trees over ids made numbers, fitted by XGBoost.

Not a network: `pnn_gluon.training.gbdt` fits it, and `create_model` does not know it.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pnn_gluon.blocks.id_numbers import IdNumbers
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.option_types import Count

CARD_FILE = "gbdt.json"
MODEL_FILE = "model.json"
COUNTS_FILE = "counts.npy"
SCORING_ROWS = 1 << 16
"""Rows made numbers and scored at once; the logits do not depend on it."""


@dataclass(frozen=True)
class GBDTOptions:
    """The trees; the defaults are near the settings of [PNN] Table 5, with shallower trees.

    Attributes:
        trees: Largest number of trees.
        depth: Largest depth of a tree.
        shrinkage: Factor on the values of each tree.
        min_child_weight: Least sum of p (1 - p) over the rows of a leaf: higher for smoother trees.
        subsample: Share of the rows, drawn anew for each tree, that a tree is fitted on.
        bins: Quantiles a number is cut at, at most. Fields with more ids than this gain from more.

    Raises:
        ConfigError: a value out of range.
    """

    trees: Count = 500
    depth: Annotated[int, Field(ge=1, le=30)] = 10
    shrinkage: Annotated[float, Field(gt=0, le=1)] = 0.1
    min_child_weight: Annotated[float, Field(ge=0)] = 1.0
    subsample: Annotated[float, Field(gt=0, le=1)] = 1.0
    bins: Annotated[int, Field(ge=2, le=65536)] = 256

    def __post_init__(self) -> None:
        for name, least in (("trees", 1), ("depth", 1), ("bins", 2)):
            if getattr(self, name) < least:
                raise ConfigError(f"gbdt: {name} must be {least} or more, not {getattr(self, name)}")
        for name in ("shrinkage", "subsample"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"gbdt: {name} must be above 0 and at most 1, not {getattr(self, name)}")
        if not 0 <= self.min_child_weight < float("inf"):
            raise ConfigError(f"gbdt: min_child_weight must be 0 or more and finite, not {self.min_child_weight}")


class GBDT:
    """A fitted model: logit = base + sum over the trees of the value of the leaf that the row's numbers fall in.

    A row's logit is the same bits whatever other rows come with it, for any number of threads.

    Args:
        numbers: Makes ids numbers.
        booster: A fitted `xgboost.Booster` over these numbers.

    Attributes:
        numbers: As given.
        booster: As given.
    """

    def __init__(self, numbers: IdNumbers, booster: Any) -> None:
        self.numbers, self.booster = numbers, booster

    @property
    def trees(self) -> int:
        """Number of trees."""
        return int(self.booster.num_boosted_rounds())

    @property
    def parameters(self) -> int:
        """Number of nodes of all trees: each holds one number, a threshold or a value."""
        return sum(len(tree.splitlines()) for tree in self.booster.get_dump())

    def logits(self, ids: NDArray[np.int32], batch_rows: int | None = None) -> NDArray[np.float32]:
        """Logits (rows,) of ids int32 (rows, S).

        Raises:
            InputError: rows of another width, or an id that is not below the number of ids of the training map.
        """
        logits = np.empty(len(ids), np.float32)
        for start in range(0, len(ids), SCORING_ROWS):
            part = slice(start, start + SCORING_ROWS)
            logits[part] = self.booster.inplace_predict(self.numbers(ids[part]), predict_type="margin")
        return logits

    def save(self, folder: Path) -> tuple[Path, Path, Path]:
        """Write `gbdt.json`, `model.json` (XGBoost's) and `counts.npy` into an existing folder.

        `gbdt.json` holds the fields and the SHA-256 of the other two, so its own hash names the whole model. Equal
        models give equal bytes.
        """
        counts = io.BytesIO()
        np.save(counts, self.numbers.counts, allow_pickle=False)
        contents = {MODEL_FILE: bytes(self.booster.save_raw("json")), COUNTS_FILE: counts.getvalue()}
        layout = self.numbers.layout
        card = {
            "fields": dict(zip(layout.names, layout.widths, strict=True)),
            "sha256": {name: _sha256(content) for name, content in contents.items()},
        }
        contents[CARD_FILE] = (json.dumps(card, indent=1) + "\n").encode()
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return folder / CARD_FILE, folder / MODEL_FILE, folder / COUNTS_FILE

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: a file is missing, or not the one that was saved.
        """
        import xgboost as xgb

        try:
            card = json.loads((folder / CARD_FILE).read_bytes())
            layout = FieldLayout.from_widths(card["fields"])
            model, counts = (_checked(folder / name, card["sha256"][name]) for name in (MODEL_FILE, COUNTS_FILE))
        except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
            raise InputError(f"{folder}: cannot be read as a gbdt model ({error}); train it again") from error
        booster = xgb.Booster()
        booster.load_model(bytearray(model))
        return cls(IdNumbers(layout, np.load(io.BytesIO(counts), allow_pickle=False)), booster)


def _checked(path: Path, sha256: str) -> bytes:
    """The file's bytes; XGBoost ends the process when it is given damaged ones."""
    content = path.read_bytes()
    if _sha256(content) != sha256:
        raise InputError(f"{path}: not the file the model was saved with; train it again")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
