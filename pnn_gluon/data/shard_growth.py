"""Encoded days carried on to a grown map: only what the map has learned since is sought in their rows."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.sampled_rows import SampledRows, read_columns
from pnn_gluon.data.shard_patch import Cells, Patch, patch_of
from pnn_gluon.data.shards import SHARES, open_shard
from pnn_gluon.store.store import link_file
from pnn_gluon.warehouse.duckdb_engine import parquet, statement


class ShardGrowth:
    """From an earlier map, of which a map is the continuation, to that map.

    Args:
        connection: What reads the rows.
        feature_map: The grown map.
        known: How many ids the earlier map had.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, feature_map: FeatureMap, known: int) -> None:
        self._connection, self._map = connection, feature_map
        self._new = []
        for field in range(len(feature_map.fields)):
            if len(words := _since(feature_map.dictionary(field), known)):
                connection.register(f"new_words_{field}", words)
                self._new.append(field)

    @property
    def possible(self) -> bool:
        """Whether all that is new are values of categorical fields; others change cells that were not *other*.

        Nor with multi-valued fields, whose slots depend on each other.
        """
        return not self._map.has_sets and all(self._map.fields[field].kind == "categorical" for field in self._new)

    def continues(self, shard: Path) -> bool:
        """Whether a shard holds the ids by the map of its own day; those of earlier releases may be by a later one."""
        with open_shard(shard) as found:
            return found.own_size == self._size_on(found.day)

    def carry(self, shard: Path, sample: SampledRows, path: Path) -> int:
        """Link a shard and write its patch by the grown map; the number of cells that changed since the earlier map."""
        link_file(shard, path)
        with open_shard(shard) as found:
            day, before = found.day, found.patch
        cells = self._cells(sample)
        if self._map.size > self._size_on(day):
            earlier = before.cells if before else {}
            merged = {share: Cells.joined([earlier.get(share, Cells.none()), cells[share]]) for share in SHARES}
            Patch(day, self._map.size, merged).write(patch_of(path))
        return sum(len(each.row) for each in cells.values())

    def _size_on(self, day: str) -> int:
        return self._map.own_size_on(datetime.date.fromisoformat(day))

    def _cells(self, sample: SampledRows) -> Mapping[str, Cells]:
        """The cells of a sample whose value has an id that the earlier map had not."""
        names, starts = self._map.layout.names, self._map.layout.starts
        lacks = sample.lacks(names)
        found = [at for at in self._new if names[at] not in lacks]
        if not found:
            return dict.fromkeys(SHARES, Cells.none())
        fields = [{"name": names[at], "slot": starts[at], "words": f"new_words_{at}"} for at in found]
        query = statement("new_cells", rows=parquet(sample.rows, row_numbers=True), fields=fields)
        cells = self._connection.execute(query).fetchnumpy()
        every = Cells(cells["row"].astype(np.int64), cells["slot"].astype(np.int32), cells["id"].astype(np.int32))
        return _by_share(every, sample)


def _since(words: Any, known: int) -> Any:
    """The part of a dictionary with ids from `known` on."""
    return words.filter(pc.greater_equal(words["id"], known))


def _by_share(cells: Cells, sample: SampledRows) -> dict[str, Cells]:
    """Cells by the rows of a file -> by the rows of each share, in which a shard has them."""
    share = read_columns(sample.shares or sample.rows, ["share"])["share"]
    return {name: _renumbered(cells, pc.equal(share, name).fill_null(False).to_numpy()) for name in SHARES}


def _renumbered(cells: Cells, belongs: NDArray[np.bool_]) -> Cells:
    chosen = belongs[cells.row]
    place = np.cumsum(belongs) - 1
    return Cells(place[cells.row[chosen]], cells.slot[chosen], cells.id[chosen])
