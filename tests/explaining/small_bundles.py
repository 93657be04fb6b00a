"""Small bundles of untrained models, and labelled raw rows for them."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pnn_gluon import __version__
from pnn_gluon.evaluation.calibrators import PlattCalibration
from pnn_gluon.evaluation.segments import Calibration
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.models.gbdt import GBDTOptions
from pnn_gluon.models.registry import create_model, model_options
from pnn_gluon.runtime import mx
from pnn_gluon.serving.bundle import BundleCard, write_bundle
from pnn_gluon.training.families import family_of
from pnn_gluon.training.gbdt import train_gbdt
from tests.data.feature_map_oracle import config_of, day_number, grow, write_counts

FIELDS = [{"name": "site"}, {"name": "tags", "kind": "multi", "separator": "|", "max_values": 3}, {"name": "hour"}]
NETWORK = {"embedding_size": 4, "hidden": (8,)}


def raw_rows(count: int, seed: int = 5) -> pa.Table:
    """Rows whose clicks depend on the site."""
    random = np.random.default_rng(seed)
    site, hour = random.integers(0, 6, count), random.integers(0, 24, count)
    tags = ["|".join(f"t{t}" for t in random.choice(5, random.integers(0, 4), replace=False)) for _ in range(count)]
    click = random.random(count) < np.where(site < 2, 0.6, 0.1)
    return pa.table(
        {
            "row_id": [f"r{seed}-{i}" for i in range(count)],
            "label": click.astype(np.int8),
            "site": [f"s{s}" for s in site],
            "tags": tags,
            "hour": [str(h) for h in hour],
        }
    )


def write_rows(path: Path, rows: pa.Table) -> Path:
    pq.write_table(rows, path)
    return path


def make_bundle(folder: Path, name: str, **options: Any) -> Path:
    """A bundle of a model that nobody trained, with the map of all values of `raw_rows`."""
    folder.mkdir(parents=True)
    values = [("site", f"s{i}") for i in range(6)] + [("tags", f"t{i}") for i in range(5)]
    values += [("hour", f"{i}") for i in range(24)]
    counts = write_counts(folder / "counts.parquet", dict.fromkeys(values, (1, 0)))
    feature_map = grow(None, config_of(FIELDS), day_number(0), [counts], None, "")
    counts.unlink()
    feature_map.save(folder / "map.h5")
    family, layout, size = family_of(name), feature_map.layout, feature_map.size
    if name == "gbdt":
        model: Any = _trees(layout, size)
    else:
        mx.random.seed(3)
        model = create_model(name, layout, size, **options)
        model.initialize(mx.init.Normal(0.5))
    family.save(model, folder, layout.slots)
    known = {} if name == "gbdt" else model_options(name)
    card = BundleCard(
        model={"name": name, "options": known | options, "size": size},
        model_day="2026-11-01",
        map_day="2026-11-01",
        map_sha256=sha256_of(folder / "map.h5"),
        parameters_sha256=sha256_of(folder / family.parameters_file()),
        rate=0.25,
        metrics={},
        config={},
        pnn_gluon=__version__,
    )
    write_bundle(folder, card, Calibration(PlattCalibration(0.8, 0.1)))
    return folder


def _trees(layout: Any, size: int) -> Any:
    """Trees that know no more than the site."""
    random = np.random.default_rng(1)
    ids = random.integers(1, size, (500, layout.slots)).astype(np.int32)
    label = (ids[:, 0] < size / 2).astype(np.float32)
    return train_gbdt(layout, size, lambda: [(ids, label)], GBDTOptions(trees=5, depth=2)).model
