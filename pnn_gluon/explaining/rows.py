"""The labelled rows that a model is explained on: at most so many, those of the smallest hash of their id.

The same rows whatever order they come in, whatever files they come from, and however many others there are. Of rows
with weights the clicks and the other impressions of a line share its id, and are chosen together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.arrays import Floats, Ids
from pnn_gluon.config import EngineConfig
from pnn_gluon.data.encoding import encode_rows
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.sampled_rows import SampledRows
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import label_array, weight_array
from pnn_gluon.evaluation.identity import Identities, text_identities, unit_identities
from pnn_gluon.evaluation.poisson import mixed
from pnn_gluon.warehouse.duckdb_engine import connect


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows by rising hash of their id.

    Attributes:
        ids: int32 (B, S).
        label: 0 or 1 (B,).
        row: What each row is known by (B,).
        unit: What each row is drawn by (B,): the row itself, or its cluster.
        available: How many there were to choose from.
        weight: How many impressions each row stands for (B,); None where each is one.
    """

    ids: Ids
    label: Floats
    row: Identities
    unit: Identities
    available: int
    weight: Floats | None = None

    @classmethod
    def none(cls, slots: int) -> Self:
        """No rows of so many slots."""
        nobody = np.empty(0, np.uint64)
        return cls(np.empty((0, slots), np.int32), np.empty(0), nobody, nobody, 0)

    @property
    def weights(self) -> Floats:
        """How many impressions each row stands for (B,), ones without weights."""
        return np.ones(len(self.ids)) if self.weight is None else self.weight

    def and_some_of(self, other: "Rows", limit: int) -> "Rows":
        """At most so many of these and of others; of rows with weights those of at most so many lines."""
        row, label = np.concatenate((self.row, other.row)), np.concatenate((self.label, other.label))
        weighted = self.weight is not None or other.weight is not None
        chosen = _lines(row, label, limit) if weighted else np.argsort(mixed(row), kind="stable")[:limit]
        return Rows(
            np.concatenate((self.ids, other.ids))[chosen],
            label[chosen],
            row[chosen],
            np.concatenate((self.unit, other.unit))[chosen],
            self.available + other.available,
            np.concatenate((self.weights, other.weights))[chosen] if weighted else None,
        )


def _lines(row: Identities, label: Floats, limit: int) -> NDArray[np.intp]:
    """The places of the rows of the first lines (B,), by rising hash, without a click before with one."""
    hashed = mixed(row)
    order = np.lexsort((label, hashed))
    line = np.cumsum(np.diff(hashed[order], prepend=hashed[order[:1]]) != 0)  # (B,), from 0
    chosen: NDArray[np.intp] = order[line < limit]
    return chosen


def read_rows(
    feature_map: FeatureMap,
    engine: EngineConfig,
    files: Sequence[Path | SampledRows],
    limit: int,
    *,
    where: str = "true",
    row_id: str | None = "row_id",
    cluster: str | None = None,
    weight: str | None = None,
) -> Rows:
    """Encode raw rows with a column `label`, and keep at most so many.

    Args:
        feature_map: The model's.
        engine: What reads them.
        files: Parquet files with a column for each field.
        limit: The most rows that are kept.
        where: A condition on the rows, as SQL.
        row_id: The column that names a row; by default it is known by its place among the rows.
        cluster: The column whose values are drawn together.
        weight: The column of how many impressions a row stands for.

    Raises:
        InputError: a file or a column is missing, a label is not 0 or 1, or a weight not above 0.
    """
    chosen = Rows.none(feature_map.layout.slots)
    for some in _encoded(feature_map, engine, files, where, row_id, cluster, weight):
        chosen = chosen.and_some_of(some, limit)
    return chosen


def _encoded(
    feature_map: FeatureMap,
    engine: EngineConfig,
    files: Sequence[Path | SampledRows],
    where: str,
    row_id: str | None,
    cluster: str | None,
    weight: str | None,
) -> Iterator[Rows]:
    columns = tuple(dict.fromkeys(name for name in ("label", row_id, cluster, weight) if name is not None))
    first = 0
    with connect(engine) as connection:
        for batch in encode_rows(connection, feature_map, list(files), columns, where):
            size = len(batch.ids)
            names = [str(place) for place in range(first, first + size)]
            names = names if row_id is None else batch.columns[row_id].to_pylist()
            unit = text_identities(names) if cluster is None else _clustered(names, batch.columns[cluster])
            label = label_array(batch.columns["label"].to_numpy(zero_copy_only=False))
            given = None if weight is None else _weights(batch.columns[weight], weight)
            yield Rows(batch.ids, label, text_identities(names), unit, size, given)
            first += size


def _weights(values: Any, column: str) -> Floats:
    weight = weight_array(values.to_numpy(zero_copy_only=False), len(values))
    if not weight.all():
        raise InputError(f"weights, column {column!r}: expected numbers above 0, received 0; leave such rows out")
    return weight


def _clustered(names: Sequence[str], clusters: Any) -> Identities:
    return unit_identities(names, [None if each is None else str(each) for each in clusters.to_pylist()])
