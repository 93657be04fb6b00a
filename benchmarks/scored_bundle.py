"""A bundle of an untrained network, a table of raw rows for it, and what the peers need to score the same rows."""

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DAY = datetime.date(2026, 11, 1)
BATCHES = 10
VALUES = "values.npz"
IDS = "ids.npy"

PIPELINE = """
name = "scoring"
first_day = {day}
fields = [{fields}]
model = {{ name = "lr" }}
feature_map = {{ min_impressions = 1 }}
[store]
root = "store"
[source]
logs = "logs/{{day}}.tsv"
header = true
"""


def make_bundle(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Write `bundle/`, `table.parquet`, `ids.npy` (batches, B, S) and `values.npz`, unless they are there already.

    Each field has as many values as the others, drawn from Zipf's law. `values.npz` holds the parameters in the order
    of the network. Returns the settings with the number of ids that the map has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "done.json"
    if not done.is_file() or json.loads(done.read_text())["asked"] != settings:
        done.unlink(missing_ok=True)
        size = _make(folder, settings)
        done.write_text(json.dumps({"asked": settings, "size": size}))
    return settings | {"ids": json.loads(done.read_text())["size"], "folder": str(folder.resolve())}


def _make(folder: Path, settings: dict[str, Any]) -> int:
    from pnn_gluon.config import EngineConfig, load_config
    from pnn_gluon.data.encoding import encode_rows
    from pnn_gluon.data.feature_map import grow_map
    from pnn_gluon.warehouse.duckdb_engine import connect

    fields = [f"f{i}" for i in range(settings["fields"])]
    each = settings["ids"] // len(fields) - 3
    named = ", ".join(f'{{ name = "{field}" }}' for field in fields)
    (folder / "scoring.toml").write_text(PIPELINE.format(day=DAY, fields=named))
    counts = {
        "field": np.repeat(fields, each),
        "value": np.tile(np.arange(each).astype(str), len(fields)),
        "impressions": np.ones(each * len(fields), np.int64),
        "clicks": np.zeros(each * len(fields), np.int64),
    }
    pq.write_table(pa.table(counts), folder / "counts.parquet")
    config = load_config(folder / "scoring.toml")
    threshold = config.feature_map.min_impressions
    counts = [folder / "counts.parquet"]
    feature_map = grow_map(None, config.fields, threshold, config.engine, DAY, counts, None, "").map
    random = np.random.default_rng(1)
    drawn = {field: pa.array((random.zipf(1.2, settings["table_rows"]) % each).astype(str)) for field in fields}
    pq.write_table(pa.table({"row_id": np.arange(settings["table_rows"]), **drawn}), folder / "table.parquet")
    _write_bundle(folder, feature_map, settings)
    with connect(EngineConfig()) as connection:
        ids = np.concatenate([b.ids for b in encode_rows(connection, feature_map, folder / "table.parquet")])
    rows = np.resize(ids, (BATCHES * settings["rows"], len(fields)))
    np.save(folder / IDS, rows.reshape(BATCHES, settings["rows"], len(fields)))
    return feature_map.size


def _write_bundle(folder: Path, feature_map: Any, settings: dict[str, Any]) -> None:
    from pnn_gluon import __version__
    from pnn_gluon.evaluation.calibrators import PlattCalibration
    from pnn_gluon.evaluation.segments import Calibration
    from pnn_gluon.file_hash import sha256_of
    from pnn_gluon.models.registry import create_model, model_options
    from pnn_gluon.runtime import mx
    from pnn_gluon.serving.bundle import BundleCard, write_bundle
    from pnn_gluon.training.export import export_model
    from pnn_gluon.training.parameters import take_values

    bundle = folder / "bundle"
    bundle.mkdir(exist_ok=True)
    known = model_options(settings["model"])
    wanted = {"embedding_size": settings["embedding_size"], "hidden": settings["hidden"]}
    options = known | {name: value for name, value in wanted.items() if name in known}
    mx.random.seed(1)
    net = create_model(settings["model"], feature_map.layout, feature_map.size, **options)
    net.initialize()
    np.savez(folder / VALUES, *(value.asnumpy() for value in take_values(net).values()))
    _, parameters = export_model(net, bundle, feature_map.layout.slots)
    feature_map.save(bundle / "map.h5")
    card = BundleCard(
        model={"name": settings["model"], "options": options, "size": feature_map.size},
        model_day=str(DAY),
        map_day=str(DAY),
        map_sha256=sha256_of(bundle / "map.h5"),
        parameters_sha256=sha256_of(parameters),
        rate=1.0,
        metrics={},
        config={},
        pnn_gluon=__version__,
    )
    write_bundle(bundle, card, Calibration(PlattCalibration(1.0, 0.0)))
