"""The engines by name, and which of them is faster here."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from pnn_gluon.arrays import Ids
from pnn_gluon.errors import ConfigError
from pnn_gluon.serving.bundle import Bundle
from pnn_gluon.serving.engine import Engine, NativeEngine, PlainEngine
from pnn_gluon.training.export import SCORING_ROWS
from pnn_gluon.training.options import PrecisionName

ENGINES = ("native", "plain", "onnxruntime")
"""Our operators where they serve; MXNet's own; ONNX Runtime."""

FASTEST = "fastest"
"""Asks for the engine of most rows a second, as measured there and then."""

_ROUNDS = 3


def engine_named(name: str, precision: PrecisionName = "auto") -> Engine:
    """The engine of a name.

    Raises:
        ConfigError: there is none, or it does not multiply with this precision.
    """
    if name == "native":
        return NativeEngine(precision)
    if precision not in {"auto", "f32"}:
        raise ConfigError(f"precision {precision!r}: engine {name} knows float32 only; take engine native")
    if name == "plain":
        return PlainEngine()
    if name == "onnxruntime":
        from pnn_gluon.portable.onnx_engine import OnnxEngine

        return OnnxEngine()
    raise ConfigError(f"engine {name!r}: expected one of {', '.join((*ENGINES, FASTEST))}")


def fastest_bundle(folder: Path, precision: PrecisionName = "auto") -> tuple[str, Bundle, Mapping[str, int]]:
    """The bundle with the engine that is faster here, native or onnxruntime, its name, and the rows a second of both.

    They are timed in turns on the same ids, after a batch that does not count; the best of three counts. The next time
    it may be the other one, and the last bits of scores with it.
    """
    names = ("native", "onnxruntime")
    bundles = {name: Bundle.load(folder, engine_named(name, precision)) for name in names}
    known = bundles["native"].feature_map
    ids = np.random.default_rng(1).integers(1, known.size, (SCORING_ROWS, known.layout.slots), np.int32)
    seconds = {name: float("inf") for name in names}
    for round_ in range(1 + _ROUNDS):
        for name, bundle in bundles.items():
            taken = _seconds(bundle.logits, ids)
            seconds[name] = min(seconds[name], taken) if round_ else seconds[name]
    best = min(names, key=seconds.__getitem__)
    return best, bundles[best], {name: round(SCORING_ROWS / each) for name, each in seconds.items()}


def _seconds(logits: Callable[[Ids], object], ids: Ids) -> float:
    started = time.perf_counter()
    logits(ids)
    return time.perf_counter() - started
