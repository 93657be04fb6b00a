"""Encoded days carried on to a grown map: what it has learned since is sought in the values they have as *other*."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np

from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.shard_others import Others, others_of
from pnn_gluon.data.shard_patch import Cells, Patch, patch_of
from pnn_gluon.data.shards import CHUNK_ROWS, SHARES, Shard, open_shard


class ShardGrowth:
    """From an earlier map, of which a map is the continuation, to that map.

    Args:
        feature_map: The grown map.
        known: How many ids the earlier map had.
    """

    def __init__(self, feature_map: FeatureMap, known: int) -> None:
        self._map = feature_map
        every = {field: self._unknown(feature_map.dictionary(field), known) for field in range(len(feature_map.fields))}
        self._new = {field: words for field, words in every.items() if len(words)}

    def _unknown(self, words: Any, known: int) -> Any:
        """The part of a dictionary that the earlier map did not read: ids from `known` on, and those revived."""
        ids = words["id"].to_numpy()
        return words.filter((ids >= known) | np.isin(ids, self._map.revived)).combine_chunks()

    @property
    def possible(self) -> bool:
        """Whether all that is new are values of categorical fields; others change cells that were not *other*.

        Nor with multi-valued fields, whose slots depend on each other.
        """
        return not self._map.has_sets and all(self._map.fields[field].kind == "categorical" for field in self._new)

    @property
    def reads_shards(self) -> bool:
        """Whether the ids of shards are read, too: some are expired."""
        return bool(self._map.expired.any())

    def carry(self, shard: Path, path: Path) -> int | None:
        """Write the patch of a shard by the grown map; the number of cells that are not the shard's.

        Of the earlier patch stay the cells with ids that are not expired; what is expired among the shard's own ids is
        sought in them, and what is new, or not expired any more, in the values that it has as *other*.

        Args:
            shard: The shard, beside which its earlier patch and its other values lie.
            path: Where the shard is to stand; the patch is written beside that.

        Returns:
            None, and nothing is written, where the ids are not those by the map of the shard's own day: shards of
            earlier releases may be by a later one.
        """
        others = Others.read(others_of(shard))
        own = others.size
        if own != self._map.own_size_on(datetime.date.fromisoformat(others.day)):
            return None
        if not self._map.reads_otherwise(own):
            return 0
        earlier = Patch.read(patch_of(shard)).cells if patch_of(shard).exists() else {}
        found, expired = others.cells(self._words()), self._expired(shard)
        cells = {
            share: Cells.joined(
                [
                    self._chosen(earlier.get(share, Cells.none()), own),
                    self._chosen(found[share], own),
                    expired[share],
                ]
            )
            for share in SHARES
        }
        Patch(others.day, self._map.size, cells).write(patch_of(path))
        return sum(len(each.row) for each in cells.values())

    def _words(self) -> dict[int, Any]:
        """What is new, by slot."""
        starts = self._map.layout.starts
        return {starts[field]: words for field, words in self._new.items()}

    def _chosen(self, cells: Cells, own: int) -> Cells:
        """The cells with an id that the shard's own map had not, and that is not expired."""
        stays = (cells.id >= own) & ~self._map.expired[cells.id]
        return Cells(cells.row[stays], cells.slot[stays], cells.id[stays])

    def _expired(self, path: Path) -> dict[str, Cells]:
        """By share, the cells of a shard whose own id is expired, as *other*."""
        if not self.reads_shards:
            return dict.fromkeys(SHARES, Cells.none())
        with open_shard(path) as shard:
            return {share: self._expired_cells(shard, share) for share in SHARES}

    def _expired_cells(self, shard: Shard, share: str) -> Cells:
        parts = [Cells.none()]
        for first in range(0, shard.rows(share), CHUNK_ROWS):
            ids = shard.own_ids(share, first, first + CHUNK_ROWS)
            parts.append(Cells.between(ids, self._map.live(ids), first))
        return Cells.joined(parts)
