"""A bundle written for other runtimes: a folder that scores raw rows without MXNet and without this package.

`model.onnx` is the network with sampling correction and calibration: `ids` int32 (B, S) -> `logit` float32 (B,) and
`probability` double (B,). `fields.parquet` and `values.parquet` are the map; `score.py` reads raw rows by them;
`manifest.json` says what it was made from, and the SHA-256 of every file. Equal bundles give equal bytes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq

from pnn_gluon import __version__
from pnn_gluon.atomic import move_folder
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.disk_errors import naming
from pnn_gluon.errors import ConfigError
from pnn_gluon.evaluation.segments import Calibration
from pnn_gluon.file_hash import sha256_of
from pnn_gluon.portable.network import add_network
from pnn_gluon.portable.onnx_graph import IR_VERSION, LARGEST_FILE, OPSET, Named, OnnxGraph
from pnn_gluon.portable.plain_graph import PlainGraph
from pnn_gluon.portable.probability import add_probability
from pnn_gluon.serving.bundle import CARD, BundleCard, read_bundle
from pnn_gluon.temporary import temporary_folder
from pnn_gluon.training.export import SYMBOL_FILE

FORMAT = 1
MODEL, FIELDS, VALUES, READER, MANIFEST = "model.onnx", "fields.parquet", "values.parquet", "score.py", "manifest.json"

LOGIT = Named("logit", np.float32, ("rows",))

_FIELD = pa.schema(
    {
        "name": pa.string(),
        "kind": pa.string(),
        "width": pa.int32(),
        "separator": pa.string(),
        "missing": pa.int32(),
        "other": pa.int32(),
        "bucket": pa.int32(),
        "edges": pa.list_(pa.float64()),
    }
)
_VALUE = pa.schema({"field": pa.string(), "value": pa.large_string(), "id": pa.int32()})


def export_onnx(source: Path, folder: Path, largest: int = LARGEST_FILE) -> dict[str, Any]:
    """Write a bundle into a new folder, as a whole or not at all; its manifest.

    Args:
        source: The bundle.
        folder: Where to; it is not there yet.
        largest: Bytes of the model's numbers beyond which they lie beside it, in `model.onnx.data`.

    Raises:
        ConfigError: the folder is there, or the model has no ONNX form.
        InputError: the bundle is damaged.
    """
    if folder.exists():
        raise ConfigError(f"{folder}: exists already; give another name, or remove it")
    card, feature_map, calibration = read_bundle(source)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder.parent, f".{folder.name}.") as scratch:
        made = scratch / "made"
        made.mkdir()
        _write_model(made / MODEL, source, card, feature_map.layout, calibration, largest)
        _write_table(made / FIELDS, _FIELD, [_fields(feature_map)])
        _write_table(made / VALUES, _VALUE, _values(feature_map))
        (made / READER).write_text(Path(__file__).with_name(READER).read_text())
        manifest = _manifest(made, sha256_of(source / CARD), card, feature_map)
        (made / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        move_folder(made, folder)
    return manifest


def _write_model(
    path: Path, source: Path, card: BundleCard, layout: FieldLayout, calibration: Calibration, largest: int
) -> None:
    """Write the network of a bundle, with sampling correction and calibration, as an ONNX file."""
    graph = network_graph(source, card.model["name"], layout)
    segment = _segment(graph, layout, calibration.field)
    graph.rename(add_probability(graph, "logit", card.rate, calibration, segment), "probability")
    told = {"model": card.model["name"], "model_day": card.model_day, "map_day": card.map_day}
    graph.write(path, [ids_of(layout)], [LOGIT, Named("probability", np.float64, ("rows",))], told, largest)


def network_graph(source: Path, model: str, layout: FieldLayout) -> OnnxGraph:
    """The graph of a bundle's network: `ids` -> `logit`.

    Raises:
        ConfigError: the model has no ONNX form.
    """
    if not (source / SYMBOL_FILE).is_file():
        raise ConfigError(f"model {model!r} is no network and has no ONNX form here; score it with score-table")
    graph = OnnxGraph()
    graph.rename(add_network(graph, PlainGraph(source, layout.slots), "ids"), "logit")
    return graph


def ids_of(layout: FieldLayout) -> Named:
    """The input of a model."""
    return Named("ids", np.int32, ("rows", layout.slots))


def _segment(graph: OnnxGraph, layout: FieldLayout, field: str | None) -> str:
    """The name of the ids (B,) of the field that rows are calibrated by; empty if there is none."""
    if field is None:
        return ""
    slot = layout.starts[layout.names.index(field)]
    return graph.add("Gather", "ids", graph.scalar(slot, np.int64), axis=1)


def _fields(feature_map: FeatureMap) -> pa.RecordBatch:
    rows = [
        {
            "name": field.name,
            "kind": field.kind,
            "width": field.width,
            "separator": field.separator or None,
            "missing": feature_map.missing_id(place),
            "other": feature_map.other_id(place),
            "bucket": feature_map.first_bucket(place) if _has_buckets(feature_map, place) else None,
            "edges": field.edges if field.kind == "numeric" else None,
        }
        for place, field in enumerate(feature_map.fields)
    ]
    return pa.RecordBatch.from_pylist(rows, _FIELD)


def _has_buckets(feature_map: FeatureMap, place: int) -> bool:
    field = feature_map.fields[place]
    return field.kind == "numeric" and field.name not in feature_map.unfitted


def _values(feature_map: FeatureMap) -> Iterator[pa.RecordBatch]:
    """The values that have an id, field by field; those whose id is expired are *other*, and not here."""
    for place, field in enumerate(feature_map.fields):
        if field.kind != "numeric":
            known = feature_map.dictionary(place)
            yield from known.add_column(0, "field", pa.array([field.name] * known.num_rows)).to_batches()


def _write_table(path: Path, schema: pa.Schema, batches: Any) -> None:
    with naming(path), pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch.cast(schema))


def _manifest(made: Path, bundle: str, card: BundleCard, feature_map: FeatureMap) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "bundle_sha256": bundle,
        "model": card.model["name"],
        "model_day": card.model_day,
        "map_day": card.map_day,
        "rate": card.rate,
        "ids": {"slots": feature_map.layout.slots, "below": feature_map.size},
        "opset": OPSET,
        "ir_version": IR_VERSION,
        "onnx": onnx.__version__,
        "pnn_gluon": __version__,
        "files": {path.name: sha256_of(path) for path in sorted(made.iterdir())},
    }
