"""Networks as ONNX files, and what ONNX Runtime makes of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy_models import randomize

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.portable.export import LOGIT, ids_of, network_graph
from pnn_gluon.portable.onnx_graph import Named, OnnxGraph
from pnn_gluon.runtime import mx
from pnn_gluon.training.export import PARAMETERS_FILE, SYMBOL_FILE, export_model
from pnn_gluon.training.parameters import save_values


def session_of(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def randomized(net: Any, seed: int = 2) -> Any:
    """A network with random parameters, and random running statistics, which training would have left."""
    randomize(net, seed)
    random = np.random.default_rng(seed)
    for name, parameter in net.collect_params().items():
        if "running_" in name:
            parameter.set_data(mx.nd.array(random.uniform(0.5, 2, parameter.shape)))
    return net


def session_of_network(net: Any, folder: Path, layout: FieldLayout) -> Any:
    """The exported network: ids -> logit."""
    export_model(net, folder, layout.slots)
    path = folder / "model.onnx"
    network_graph(folder, "test", layout).write(path, [ids_of(layout)], [LOGIT], {})
    return session_of(path)


def write_symbol(folder: Path, make: Callable[..., Any], *parameters: np.ndarray) -> Any:
    """A graph of MXNet's symbols as `export_model` writes one; the symbol."""
    names = [f"p{place}" for place in range(len(parameters))]
    symbol = make(mx.sym, mx.sym.var("data"), *map(mx.sym.var, names))
    values = dict(zip(names, parameters, strict=True)) | {"unused": np.zeros(1)}
    (folder / SYMBOL_FILE).write_text(symbol.tojson())
    save_values(folder / PARAMETERS_FILE, {f"arg:{name}": mx.nd.array(value) for name, value in values.items()})
    return symbol


def computed(folder: Path, add: Callable[[OnnxGraph], str], **given: np.ndarray) -> np.ndarray:
    """What a graph gives for inputs (B,)."""
    graph = OnnxGraph()
    graph.rename(add(graph), "found")
    inputs = [Named(name, value.dtype, ("rows",)) for name, value in given.items()]
    graph.write(folder / "part.onnx", inputs, [Named("found", np.float64, ("rows",))], {})
    return session_of(folder / "part.onnx").run(None, given)[0]
