"""A part of a day's sample under a map -> its shard: a pure function of both, run by any process."""

import datetime
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Self

from pnn_gluon.config import EngineConfig
from pnn_gluon.data.encoding import write_shard
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.sampled_rows import SampledRows
from pnn_gluon.warehouse.duckdb_engine import connect


@dataclass(frozen=True)
class EncodePart:
    """A part of a sample, and where its shard goes.

    Attributes:
        map_file: the map.
        sample: rows with their shares.
        path: the shard.
        day: the day of the rows.
    """

    map_file: Path
    sample: SampledRows
    path: Path
    day: datetime.date

    @property
    def folder(self) -> Path:
        """Where its files go."""
        return self.path.parent

    def within(self, folder: Path) -> Self:
        """The same part with its files in another folder."""
        return replace(self, path=folder / self.path.name)


def encode_part(engine: EngineConfig, part: EncodePart) -> dict[str, int]:
    """Write the shard, and what the map has learned since its day beside it; the number of rows of each share.

    Raises:
        InputError: the sample is missing or damaged.
    """
    with connect(engine) as connection:
        return write_shard(connection, load_map(part.map_file), part.sample, part.path, part.day)


@lru_cache(maxsize=1)
def load_map(path: Path) -> FeatureMap:
    """The map in a file, which does not change; it is read once a process."""
    return FeatureMap.load(path)
