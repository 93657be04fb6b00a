"""Paper mode's ids as a feature map, so that a model that `fit` trained scores raw rows as any bundle does.

A feature map has a *missing* id beside *other* for each field. Paper mode has none: an empty text is a value. So a
missing value takes over the row of the empty text, or of *other* where train had no empty text.
"""

import datetime
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pnn_gluon.config import RESERVED_NAMES
from pnn_gluon.data.feature_map import FeatureMap, MapField
from pnn_gluon.errors import ConfigError
from pnn_gluon.experiments.id_map import FieldIds, IdMap
from pnn_gluon.warehouse.duckdb_engine import identifier

DAY = datetime.date(1970, 1, 1)
"""Stands for the day of a map that was not made on one."""


@dataclass(frozen=True, eq=False)
class ServedMap:
    """The feature map, and for each of its ids the id of paper mode whose row it takes, int32 (V + N,)."""

    feature_map: FeatureMap
    origin: NDArray[np.int32]


def served_map(ids: IdMap, threshold: int) -> ServedMap:
    """The feature map of an id map; values follow in the same order.

    Args:
        ids: Of fields with one value in each row.
        threshold: The least train rows of a value that got an id.

    Raises:
        ConfigError: a field of several values, or a name that a table to be scored can not have.
    """
    _check_fields(ids)
    each = list(ids.fields.values())
    reserved = [np.array([_missing(field), field.other], np.int32) for field in each]
    values = [pa.array([""] * (1 + 2 * len(each))), *(field.values for field in each)]
    first = np.arange(1 + len(each), ids.size, dtype=np.int32)
    owner = [np.repeat(np.arange(len(each)), 2), np.repeat(np.arange(len(each)), [len(f.values) for f in each])]
    size = ids.size + len(each)
    feature_map = FeatureMap(
        fields=tuple(MapField(name, "categorical") for name in ids.fields),
        day=DAY,
        parent_hash="",
        threshold=threshold,
        values=pa.concat_arrays([pc.cast(part, pa.large_string()) for part in values]),
        field_of=np.concatenate([[-1], *owner]).astype(np.int16),
        impressions=np.zeros(size, np.int64),
        clicks=np.zeros(size, np.int64),
        first_day=np.zeros(size, np.int32),
    )
    return ServedMap(feature_map, np.concatenate([[0], *reserved, first]).astype(np.int32))


def _check_fields(ids: IdMap) -> None:
    several = [name for name, field in ids.fields.items() if field.width > 1]
    if several:
        raise ConfigError(f"--bundle: field {several[0]!r} has several values in a row: only fields of one are kept")
    for name in ids.fields:
        identifier(name)
    taken = sorted(RESERVED_NAMES & set(ids.fields))
    if taken:
        raise ConfigError(f"--bundle: field name {taken[0]!r} is taken by scoring; name it otherwise in data.fields")


def _missing(field: FieldIds) -> int:
    place = pc.index(field.values, "").as_py()
    return field.first + place if place >= 0 else field.other
