"""The network of a bundle computed by ONNX Runtime."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pnn_gluon.arrays import Ids
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.portable.export import LOGIT, MODEL, ids_of, network_graph
from pnn_gluon.processor import processor_features
from pnn_gluon.runtime import available_processors
from pnn_gluon.temporary import temporary_folder
from pnn_gluon.training.export import SCORING_ROWS


class OnnxScorer:
    """The logits of an ONNX file. See `pnn_gluon.training.family.Scorer`.

    Every batch has the same number of rows, so that a row's bits do not depend on the rows beside it.
    """

    def __init__(self, model: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def logits(self, ids: Ids, batch_rows: int | None = None) -> NDArray[np.float32]:
        """Logits (rows,) of ids int32 (rows, S)."""
        size = batch_rows or SCORING_ROWS
        parts = [self._batch(ids[start : start + size], size) for start in range(0, len(ids), size)]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def _batch(self, ids: Ids, size: int) -> Any:
        padded = np.zeros((size, ids.shape[1]), np.int32)
        padded[: len(ids)] = ids
        return self._session.run([LOGIT.name], {"ids": padded})[0][: len(ids)]


class OnnxEngine:
    """Float32 throughout, and as many threads as MXNet takes. See `pnn_gluon.serving.engine.Engine`."""

    def __init__(self) -> None:
        self._threads = int(os.environ.get("OMP_NUM_THREADS") or available_processors())

    def load(self, folder: Path, model: Mapping[str, Any], layout: FieldLayout) -> OnnxScorer:
        """The network, by way of an ONNX file that does not stay; what has no ONNX form is refused."""
        with temporary_folder(Path(tempfile.gettempdir()), "pnn-gluon-onnx-") as scratch:
            path = scratch / MODEL
            network_graph(folder, model["name"], layout).write(path, [ids_of(layout)], [LOGIT], {})
            return OnnxScorer(path, self._threads)

    def last_bits(self, model: str) -> dict[str, str]:
        """ONNX Runtime, threads, processor."""
        threads = str(self._threads)
        return {"onnxruntime": onnxruntime.__version__, "threads": threads, "processor": processor_features()}
