"""Rows of all parts as ids of a feature map that is learnt from the train rows, by the steps of the daily pipeline."""

import datetime
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pnn_gluon.config import EngineConfig
from pnn_gluon.data.counting import count_values
from pnn_gluon.data.encoding import encode_rows
from pnn_gluon.data.feature_map import FeatureMap, grow_map
from pnn_gluon.experiments.rows import Rows
from pnn_gluon.temporary import temporary_folder
from pnn_gluon.warehouse.duckdb_engine import connect

DAY = datetime.date(1970, 1, 1)
"""Stands for the day of a map that was not made on one."""

_ENGINE = EngineConfig()


def encode_parts(parts: Sequence[Rows], min_count: int) -> tuple[FeatureMap, list[NDArray[np.int32]]]:
    """The map of the first part's values, and the ids int32 (rows, S) of each part under it.

    Values of at least `min_count` rows of the first part get an id, and its numbers decide the edges of buckets;
    of the other parts nothing is learnt.
    """
    with temporary_folder(Path(tempfile.gettempdir()), "pnn-gluon-rows-") as folder:
        paths = [_written(rows, folder / f"{number}.parquet") for number, rows in enumerate(parts)]
        fields, counts = parts[0].fields, folder / "counts.parquet"
        count_values(fields, _ENGINE, paths[0], counts)
        feature_map = grow_map(None, fields, min_count, _ENGINE, DAY, [counts], paths[0], "").map
        with connect(_ENGINE) as connection:
            return feature_map, [_ids(connection, feature_map, path) for path in paths]


def _written(rows: Rows, path: Path) -> Path:
    pq.write_table(rows.table.append_column("label", pa.array(rows.label.astype(np.int8))), path)
    return path


def _ids(connection: Any, feature_map: FeatureMap, path: Path) -> NDArray[np.int32]:
    return np.concatenate([batch.ids for batch in encode_rows(connection, feature_map, path)])
