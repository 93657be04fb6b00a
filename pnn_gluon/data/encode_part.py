"""A part of a day's sample under a map -> its shard: a pure function of both, run by any process."""

import datetime
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pnn_gluon.config import EngineConfig
from pnn_gluon.data.encoding import write_shard
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.data.sampled_rows import SampledRows
from pnn_gluon.warehouse.duckdb_engine import connect
from pnn_gluon.warehouse.part import FilePart


@dataclass(frozen=True)
class EncodePart(FilePart):
    """A part of a sample, and where its shard goes.

    Attributes:
        map_file: the map.
        sample: rows with their shares.
        day: the day of the rows.
        carried: whether days to come carry the shard on to their maps.
    """

    map_file: Path
    sample: SampledRows
    day: datetime.date
    carried: bool


def encode_part(engine: EngineConfig, part: EncodePart) -> dict[str, int]:
    """Write the shard, and what the map has learned since its day beside it; the number of rows of each share.

    Raises:
        InputError: the sample is missing or damaged.
    """
    with connect(engine) as connection:
        return write_shard(connection, load_map(part.map_file), part.sample, part.path, part.day, part.carried)


@lru_cache(maxsize=1)
def load_map(path: Path) -> FeatureMap:
    """The map in a file, which does not change; it is read once a process."""
    return FeatureMap.load(path)
