"""Bundles of untrained networks over every kind of field, and raw rows with all that rows may hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pnn_gluon import __version__
from pnn_gluon.evaluation.calibrators import RisingCalibration
from pnn_gluon.evaluation.segments import Calibration, Segments
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.models.registry import create_model, model_options
from pnn_gluon.runtime import mx
from pnn_gluon.serving.bundle import BundleCard, write_bundle
from pnn_gluon.training.export import PARAMETERS_FILE, export_model
from tests.data.feature_map_oracle import config_of, day_number, grow, write_counts

FIELDS = [
    {"name": "site"},
    {"name": "tags", "kind": "multi", "separator": "|", "max_values": 3},
    {"name": "price", "kind": "numeric", "bucketing": "edges", "edges": [-1.0, 0.0, 2.5]},
    {"name": "age", "kind": "numeric", "bucketing": "log"},
    {"name": "dots", "kind": "multi", "separator": ".", "max_values": 2},
    {"name": "hour"},
]
ROWS = 3000


def make_map() -> Any:
    """A map with values of `site`, `tags`, `dots` and `hour`."""
    values = [("site", f"s{i}") for i in range(9)] + [("site", ""), ("site", "ü ")]
    values += [("tags", f"t{i}") for i in range(7)] + [("dots", f"{i}") for i in range(4)]
    return values + [("hour", f"{i}") for i in range(24)]


def make_bundle(folder: Path, name: str = "ipnn", **options: Any) -> Path:
    """A bundle with large weights, whose rows are calibrated by site."""
    folder.mkdir(parents=True)
    counts = write_counts(folder / "counts.parquet", dict.fromkeys(make_map(), (1, 0)))
    feature_map = grow(None, config_of(FIELDS), day_number(0), [counts], None, "")
    counts.unlink()
    feature_map.save(folder / "map.h5")
    mx.random.seed(3)
    net = create_model(name, feature_map.layout, feature_map.size, **options)
    net.initialize(mx.init.Normal(0.4))
    export_model(net, folder, feature_map.layout.slots)
    card = BundleCard(
        model={"name": name, "options": model_options(name) | options, "size": feature_map.size},
        model_day="2026-11-01",
        map_day="2026-11-01",
        map_sha256=sha256_of(folder / "map.h5"),
        parameters_sha256=sha256_of(folder / PARAMETERS_FILE),
        rate=0.25,
        metrics={},
        config={},
        pnn_gluon=__version__,
    )
    sites = feature_map.dictionary(0)["id"].to_pylist()
    segments = Segments("site", tuple(sites[:3]), (0.5, 1.2, 2.0), (0.1, -0.5, 0.0))
    write_bundle(folder, card, Calibration(RisingCalibration((-3.0, -1.0, 0.5), (-2.5, -1.5, 0.0), 0.1), segments))
    return folder


def raw_rows(seed: int = 5) -> pa.Table:
    """Rows with missing and unseen values, empty ones, blanks, repeated tags, integers and NaN."""
    random = np.random.default_rng(seed)
    sites, tags = [None, "", "ü ", *(f"s{i}" for i in range(11))], [" t0", "t1 ", "", " ", *(f"t{i}" for i in range(9))]
    prices = [None, float("nan"), float("inf"), -1.0, 0.0, 2.5, 1e300, -7.25]
    columns: dict[str, Any] = {
        "hour": pa.array(random.integers(0, 26, ROWS), pa.int16()),
        "price": [prices[i] for i in random.integers(0, len(prices), ROWS)],
        "tags": ["|".join(random.choice(tags, random.integers(0, 6))) for _ in range(ROWS)],
        "dots": [None if i % 5 == 0 else ".".join(map(str, random.integers(0, 6, i % 4))) for i in range(ROWS)],
        "site": [sites[i] for i in random.integers(0, len(sites), ROWS)],
        "age": pa.array(random.integers(-2, 100, ROWS), mask=random.random(ROWS) < 0.1),
        "row_id": [f"r{i}" for i in range(ROWS)],
    }
    return pa.table(columns)


def write_rows(path: Path, rows: pa.Table) -> Path:
    pq.write_table(rows, path, row_group_size=700)
    return path
