"""Part functions over the worker processes of this machine."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from pnn_gluon.config import EngineConfig
from pnn_gluon.errors import PnnError

T = TypeVar("T")
R = TypeVar("R")

_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def map_locally(
    engine: EngineConfig, function: Callable[[EngineConfig, T], R], parts: Sequence[T], worth: int = 1
) -> list[R]:
    """What a part function makes of every part, in the order of the parts, however they are run.

    Several parts go to as many processes as the engine has threads, each with its share of threads and memory; a
    single one, or one engine thread, runs here.

    Args:
        engine: Limits of all of them together.
        function: Importable by its name; it gets the limits that it may use, and a part.
        parts: What it is called with.
        worth: So many parts are worth the start of a process.

    Raises:
        PnnError: a process was ended from outside.
    """
    workers = min(engine.threads, len(parts) // worth)
    if workers < 2:
        return [function(engine, part) for part in parts]
    try:
        with _workers(workers) as pool:
            return list(pool.map(function, [_portion(engine, workers)] * len(parts), parts))
    except BrokenProcessPool as error:
        raise PnnError(
            f"one of {workers} worker processes was ended from outside; where memory runs out, lower engine.threads "
            "or engine.memory_limit; run again"
        ) from error


def _portion(engine: EngineConfig, workers: int) -> EngineConfig:
    """The limits of one of several processes."""
    return EngineConfig(threads=engine.threads // workers, memory_limit=f"{max(engine.megabytes // workers, 32)}MB")


@contextmanager
def _workers(number: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes, since DuckDB's and Arrow's threads survive no fork; none of them outlives an exception."""
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(
        number, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(os.getpid(), sys.path)
    )
    try:
        yield pool
    except BaseException:
        for process in multiprocessing.active_children():
            if process not in others:
                process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(parent: int, paths: list[str]) -> None:
    """Die with the parent, and at once by any signal that asks for it; find modules where the parent does."""
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    sys.path[:] = paths
