"""How much a model relies on each field: what its answers lose when the field's values are shuffled among the rows.

Permutation importance (Breiman 2001, "Random forests", section 10; Fisher, Rudin and Dominici 2019), of the calibrated
probability that is served. Fields that tell the same are each less important than both together. Rows with weights
count by them, and so do the rows that values are taken from.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Floats, Ids
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.evaluation.auc import Auc
from pnn_gluon.evaluation.resampling import Resampling
from pnn_gluon.explaining.rows import Rows
from pnn_gluon.serving.bundle import Bundle


@dataclass(frozen=True)
class FieldImportance:
    """What a field is worth.

    Attributes:
        field: Its name.
        log_loss: By how much the log loss rises, in nats an impression.
        low, high: Its 95 % interval.
        auc: By how much the AUC falls; None on rows of one class.
    """

    field: str
    log_loss: float
    low: float
    high: float
    auc: float | None


def field_importance(bundle: Bundle, rows: Rows, repeats: int, seed: int) -> list[FieldImportance]:
    """The importance of every field, the most important first; none on rows that tell no interval.

    The interval is that of `paired_bootstrap`: rows, or clusters, are drawn, not the permutation.

    Args:
        bundle: The model, of any family.
        rows: Labelled rows, of two units or more.
        repeats: Of the bootstrap.
        seed: Of the permutations and of the bootstrap.
    """
    if not len(rows.ids):
        return []
    layout = bundle.feature_map.layout
    scores = [_scored(bundle, ids) for ids in (rows.ids, *shuffled_fields(layout, rows.ids, seed, rows.weight))]
    draws = Resampling().update(rows.unit, rows.label, *scores, weight=rows.weight).draws(repeats, seed)
    areas = [Auc().update(rows.label, score, rows.weight).value() for score in scores]
    found = []
    for place, field in enumerate(layout.names, 1):
        rise = None if draws is None else draws.interval("log_loss", contrast=_against_first(place, len(scores)))
        if rise is None:
            return []
        fall = areas[0] - areas[place]
        found.append(FieldImportance(field, rise.value, rise.low, rise.high, None if isnan(fall) else fall))
    return sorted(found, key=lambda each: -each.log_loss)


def _against_first(place: int, models: int) -> list[float]:
    """The contrast of one model with the first."""
    contrast = [0.0] * models
    contrast[0], contrast[place] = -1.0, 1.0
    return contrast


def shuffled_fields(layout: FieldLayout, ids: Ids, seed: int, weight: Floats | None = None) -> Iterator[Ids]:
    """The rows (B, S) once for each field, with its slots taken from other rows, which are drawn for it alone.

    They are a permutation. With weights (B,) each row is taken as often as its share of the weight makes of B, rounded
    up or down: by systematic sampling, which is a permutation again where all weights are the same.
    """
    for field, (start, width) in enumerate(zip(layout.starts, layout.widths, strict=True)):
        random = np.random.default_rng([seed, field])
        order = random.permutation(len(ids) if weight is None else _systematic(weight, random))
        shuffled = ids.copy()
        shuffled[:, start : start + width] = ids[order, start : start + width]
        yield shuffled


def _systematic(weight: Floats, random: np.random.Generator) -> NDArray[np.intp]:
    """Rows at equal steps of the sum of the weights > 0 (B,) from a random start: (B,)."""
    ends, rows = np.cumsum(weight), weight.size
    points = (np.arange(rows) + random.random()) * (ends[-1] / rows)
    chosen: NDArray[np.intp] = np.minimum(np.searchsorted(ends, points, side="right"), rows - 1)
    return chosen


def _scored(bundle: Bundle, ids: Ids) -> Floats:
    """The logit of the calibrated probability of rows (B, S): (B,)."""
    return bundle.calibrated_logit(bundle.logits(ids), ids)
