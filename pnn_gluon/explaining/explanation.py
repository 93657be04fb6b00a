"""What a bundle's model has learned, as one document of plain values."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pnn_gluon.explaining.importance import FieldImportance, field_importance
from pnn_gluon.explaining.layer_statistics import GRADIENT_ROWS, LayerStatistics, layer_statistics
from pnn_gluon.explaining.network import network_of
from pnn_gluon.explaining.pair_strength import PairStrength, pair_strength
from pnn_gluon.explaining.rows import Rows
from pnn_gluon.models.declared import declared
from pnn_gluon.serving.bundle import Bundle, read_history

SEED = 1
"""Of permutations and draws."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explanation:
    """What a model has learned.

    Attributes:
        model: Its name.
        model_day: Its day.
        rows: How many labelled rows it was looked at with.
        rows_available: How many there were to choose from.
        impressions: How many impressions the rows stand for; None where each is one.
        gradient_rows: How many of them the gradient is of.
        repeats: Of the bootstrap.
        seed: Of permutations and draws.
        importance: Field by field, the most important first.
        importance_missing: Why there is none, in words; None where there is.
        pairs: The strength of pairs of fields; None where there is none.
        pairs_missing: Why there is none, in words.
        layers: Layer by layer; none of trees.
        layers_missing: Why there are none, in words.
        history: The epochs, or trees, of its training, where they are known.
    """

    model: str
    model_day: str
    rows: int
    rows_available: int
    gradient_rows: int
    repeats: int
    seed: int
    importance: Sequence[FieldImportance] = ()
    importance_missing: str | None = None
    pairs: PairStrength | None = None
    pairs_missing: str | None = None
    layers: Sequence[LayerStatistics] = ()
    layers_missing: str | None = None
    impressions: int | None = None
    history: Sequence[Mapping[str, Any]] = ()

    def to_json(self) -> bytes:
        """Strict JSON; the same explanation is the same bytes."""
        told = dataclasses.asdict(self)
        if self.impressions is None:
            del told["impressions"]  # of rows without weights, as releases before wrote it
        return (json.dumps(told, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def explain(bundle: Bundle, folder: Path, rows: Rows, repeats: int, seed: int = SEED) -> Explanation:
    """Look at the model of a bundle, with labelled rows as far as there are any.

    Args:
        bundle: The bundle.
        folder: Where it lies.
        rows: See `pnn_gluon.explaining.rows`.
        repeats: Of the bootstrap.
        seed: Of permutations and draws.
    """
    importance = field_importance(bundle, rows, repeats, seed)
    return Explanation(
        model=bundle.card.model["name"],
        model_day=bundle.card.model_day,
        rows=len(rows.ids),
        rows_available=rows.available,
        gradient_rows=min(len(rows.ids), GRADIENT_ROWS),
        repeats=repeats,
        seed=seed,
        importance=importance,
        history=read_history(folder),
        impressions=None if rows.weight is None else round(float(rows.weight.sum())),
        importance_missing=None if importance else "it needs labelled rows, two or more that are drawn by themselves",
        **_inside(bundle, folder, rows),
    )


def _inside(bundle: Bundle, folder: Path, rows: Rows) -> dict[str, Any]:
    """What is told of pairs and layers."""
    name, feature_map = bundle.card.model["name"], bundle.feature_map
    if declared(name).family != "network":
        return {
            "pairs_missing": f"{name} has trees, and no number for a pair of fields by itself",
            "layers_missing": f"{name} has trees, and no layers",
        }
    net = network_of(folder, bundle.card, feature_map.layout)
    pairs = pair_strength(name, net, feature_map.layout, feature_map.position_of, rows.ids, rows.weight)
    told = {"pairs_missing": pairs} if isinstance(pairs, str) else {"pairs": pairs}
    return {**told, "layers": layer_statistics(net, rows, bundle.card.rate)}
