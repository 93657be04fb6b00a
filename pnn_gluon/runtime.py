"""The one way to import MXNet: with the thread settings that make it fast on the machine at hand.

`from pnn_gluon.runtime import HybridBlock, mx` sets the environment first, then imports. Importing this module
alone imports nothing heavy.
"""

import contextlib
import ctypes
import faulthandler
import math
import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pnn_gluon.cuda import load_libraries
from pnn_gluon.lean_import import lean_import

Tensor: TypeAlias = Any
"""An `mx.nd.NDArray`, or an `mx.sym.Symbol` while a hybrid block is traced."""

if TYPE_CHECKING:

    class HybridBlock:
        """What the type checker knows of `mx.gluon.HybridBlock`, which this name is when the program runs."""

        params: Any

        def __init__(self, **kwargs: Any) -> None: ...
        def __call__(self, *args: Any) -> Any:
            """Outputs of the block for its inputs."""

        def __getattr__(self, name: str) -> Any: ...

    class Initializer:
        """What the type checker knows of `mx.init.Initializer`, which this name is when the program runs."""

        def __init__(self, **kwargs: Any) -> None: ...

    class Optimizer:
        """What the type checker knows of `mx.optimizer.Optimizer`, which this name is when the program runs."""

        rescale_grad: float

        def __init__(self, **kwargs: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...


_SPIN_COUNT = "1000"
_GRADIENT_SUM_CAP = "100000"


def available_processors(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Number of processors this process may use: its affinity mask, limited by the container's quota."""
    visible = len(os.sched_getaffinity(0))
    quota = _quota_v2(cgroup) or _quota_v1(cgroup)
    return visible if quota is None else max(1, min(visible, math.ceil(quota)))


def _quota_v2(cgroup: Path) -> float | None:
    limit = _words(cgroup / "cpu.max")
    return int(limit[0]) / int(limit[1]) if len(limit) == 2 and limit[0] != "max" else None


def _quota_v1(cgroup: Path) -> float | None:
    quota, period = _words(cgroup / "cpu" / "cpu.cfs_quota_us"), _words(cgroup / "cpu" / "cpu.cfs_period_us")
    return int(quota[0]) / int(period[0]) if quota and period and int(quota[0]) > 0 else None


def _words(path: Path) -> list[str]:
    return path.read_text().split() if path.is_file() else []


def prepare_mxnet() -> Any:
    """Set MXNet's environment unless the user has, import MXNet and return the module.

    - `OMP_NUM_THREADS` = available processors: MXNet alone would take half of them.
    - `GOMP_SPINCOUNT` = 1000: threads that spin for long make a step several times slower under contention.
    - `MXNET_EXEC_INPLACE_GRAD_SUM_CAP` = 100000: a tensor read by more than eight operators keeps its gradient.

    The settings are read when the library loads, so they have no effect if `mxnet` was imported before.

    What MXNet does at its import without need is left out: see `pnn_gluon.lean_import`.

    A fatal signal ends the process at once, after a line that names it: MXNet's own handlers, which call `exit`, hang
    for ever when the signal hits a thread of OpenMP.

    Raises:
        ConfigError: it is the CUDA build, and NVIDIA's driver or one of its libraries is missing.
    """
    load_libraries()
    os.environ.setdefault("OMP_NUM_THREADS", str(available_processors()))
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
    os.environ.setdefault("MXNET_EXEC_INPLACE_GRAD_SUM_CAP", _GRADIENT_SUM_CAP)
    if not faulthandler.is_enabled():
        faulthandler.enable(file=2, all_threads=False)
    with _signal_handlers_kept(), lean_import(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*np.bool", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*np.bool", category=DeprecationWarning)
        import mxnet  # noqa: PLC0415
    return mxnet


_FATAL = (signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGABRT)
_BYTES_OF_SIGACTION = 512  # more than any C library's struct has


@contextlib.contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """What a fatal signal does is after the block what it was before; on any thread, which `signal.signal` is not."""
    library = ctypes.CDLL(None)
    kept = [(number, ctypes.create_string_buffer(_BYTES_OF_SIGACTION)) for number in _FATAL]
    for number, action in kept:
        library.sigaction(int(number), None, action)
    try:
        yield
    finally:
        for number, action in kept:
            library.sigaction(int(number), action, None)


def __getattr__(name: str) -> Any:
    if name == "mx":
        return prepare_mxnet()
    if name == "HybridBlock":
        return prepare_mxnet().gluon.HybridBlock
    if name == "Initializer":
        return prepare_mxnet().init.Initializer
    if name == "Optimizer":
        return prepare_mxnet().optimizer.Optimizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
