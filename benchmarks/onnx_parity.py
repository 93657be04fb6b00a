"""How far the logits of every network are apart: its ONNX file, its plain graph, our native operators.

    python -m benchmarks.onnx_parity [--rows 2000]

Networks with their default options and random weights over 39 fields, two of them of several values, which may be
empty. The last line is a JSON object: network to the greatest difference of its ONNX logits from the native ones.
"""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from jobs.terminal import console
from pnn_gluon.arrays import Ids
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.models.registry import MODELS, create_model

SIZE = 20_000
LAYOUT = FieldLayout.from_widths({f"f{i}": {5: 4, 20: 2}.get(i, 1) for i in range(39)})
OPTIONS: dict[str, dict[str, Any]] = {
    "din": {"candidate": "f0", "history": "f5"},
    "wdl": {"crosses": (("f0", "f1"),), "cross_buckets": 1000},
}


def main(rows: Annotated[int, typer.Option(help="Rows scored.", min=2)] = 2000) -> None:
    """Measure and print."""
    ids = _ids(rows)
    table = Table("network", "ONNX nodes", "spread of logits", "ONNX - native", "ONNX - plain", "native - plain")
    found = {}
    for name in MODELS:
        nodes, by_onnx, native, plain = _logits(name, ids)
        found[name] = float(np.abs(by_onnx - native).max())
        apart = (found[name], np.abs(by_onnx - plain).max(), np.abs(native - plain).max())
        table.add_row(name, f"{nodes:,}", f"{native.std():.2f}", *(f"{each:.1e}" for each in apart))
    console().print(table)
    print(json.dumps(found))


def _ids(rows: int) -> Ids:
    """Rows of which some have no value, or fewer than others, in the fields of several."""
    random = np.random.default_rng(1)
    ids = random.integers(1, SIZE, (rows, LAYOUT.slots)).astype(np.int32)
    for start, width in zip(LAYOUT.starts, LAYOUT.widths, strict=True):
        if width > 1:
            present = random.integers(0, width + 1, rows)
            ids[:, start : start + width] *= np.arange(width) < present[:, np.newaxis]
    return ids


def _logits(name: str, ids: Ids) -> tuple[int, Any, Any, Any]:
    """The nodes of the ONNX graph; the logits by ONNX Runtime, native operators and the plain graph."""
    import onnx

    from pnn_gluon.ops import dense_precision
    from pnn_gluon.portable.export import LOGIT, ids_of, network_graph
    from pnn_gluon.portable.onnx_engine import OnnxScorer
    from pnn_gluon.runtime import available_processors, mx
    from pnn_gluon.training.export import export_model, load_exported, predict_logits

    mx.random.seed(1)
    net = create_model(name, LAYOUT, SIZE, **OPTIONS.get(name, {}))
    net.initialize(mx.init.Normal(0.1))
    for parameter in net.collect_params(".*linear_weight|.*cross_weight|.*bias").values():
        parameter.set_data(mx.nd.random.normal(0, 0.1, parameter.shape))
    with tempfile.TemporaryDirectory() as scratch, dense_precision("f32"):
        folder = Path(scratch)
        export_model(net, folder, LAYOUT.slots)
        network_graph(folder, name, LAYOUT).write(folder / "model.onnx", [ids_of(LAYOUT)], [LOGIT], {})
        by_onnx = OnnxScorer(folder / "model.onnx", available_processors()).logits(ids)
        nodes = len(onnx.load(folder / "model.onnx").graph.node)
        return nodes, by_onnx, predict_logits(net, ids), predict_logits(load_exported(folder), ids)


if __name__ == "__main__":
    typer.run(main)
