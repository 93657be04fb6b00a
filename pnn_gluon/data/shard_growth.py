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
from pnn_gluon.data.shards import CHUNK_ROWS, SHARES, Shard, open_shard
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
            if len(words := self._unknown(feature_map.dictionary(field), known)):
                connection.register(f"new_words_{field}", words)
                self._new.append(field)

    def _unknown(self, words: Any, known: int) -> Any:
        """The part of a dictionary that the earlier map did not read: ids from `known` on, and those revived."""
        ids = words["id"].to_numpy()
        return words.filter((ids >= known) | np.isin(ids, self._map.revived))

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
        """Link a shard and write its patch by the grown map; the number of cells that are not the shard's.

        Of the earlier patch stay the cells with ids that are not expired; what is expired among the shard's own ids is
        sought in them, and what is new, or not expired any more, in the sample.
        """
        link_file(shard, path)
        found = self._cells(sample)
        with open_shard(shard) as opened:
            own = self._size_on(opened.day)
            if not self._map.reads_otherwise(own):
                return 0
            earlier = opened.patch.cells if opened.patch else {}
            cells = {
                share: Cells.joined(
                    [
                        self._chosen(earlier.get(share, Cells.none()), own),
                        self._chosen(found[share], own),
                        self._expired(opened, share),
                    ]
                )
                for share in SHARES
            }
            Patch(opened.day, self._map.size, cells).write(patch_of(path))
        return sum(len(each.row) for each in cells.values())

    def _chosen(self, cells: Cells, own: int) -> Cells:
        """The cells with an id that the shard's own map had not, and that is not expired."""
        stays = (cells.id >= own) & ~self._map.expired[cells.id]
        return Cells(cells.row[stays], cells.slot[stays], cells.id[stays])

    def _expired(self, shard: Shard, share: str) -> Cells:
        """The cells of a shard whose own id is expired, as *other*."""
        if not self._map.expired.any():
            return Cells.none()
        parts = [Cells.none()]
        for first in range(0, shard.rows(share), CHUNK_ROWS):
            ids = shard.own_ids(share, first, first + CHUNK_ROWS)
            parts.append(Cells.between(ids, self._map.live(ids), first))
        return Cells.joined(parts)

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


def _by_share(cells: Cells, sample: SampledRows) -> dict[str, Cells]:
    """Cells by the rows of a file -> by the rows of each share, in which a shard has them."""
    share = read_columns(sample.shares or sample.rows, ["share"])["share"]
    return {name: _renumbered(cells, pc.equal(share, name).fill_null(False).to_numpy()) for name in SHARES}


def _renumbered(cells: Cells, belongs: NDArray[np.bool_]) -> Cells:
    chosen = belongs[cells.row]
    place = np.cumsum(belongs) - 1
    return Cells(place[cells.row[chosen]], cells.slot[chosen], cells.id[chosen])
