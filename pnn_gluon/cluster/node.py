"""One process of a cluster: `python -m pnn_gluon.cluster.node FOLDER`, with its role in MXNet's DMLC_ variables.

Everything is imported before MXNet learns its role: a server that serves inside the import of mxnet, as MXNet would
have it, cannot load our optimizers.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pnn_gluon.cluster.environment import KIND
from pnn_gluon.cluster.job import Job
from pnn_gluon.cluster.watch import Watch
from pnn_gluon.errors import PnnError

_PR_SET_PDEATHSIG = 1


def main(folder: Path) -> None:
    """Be the process that the environment says until the job is done, or has failed anywhere."""
    _end_with_parent()
    role = os.environ.pop("DMLC_ROLE")
    watch = Watch(folder, f"{role} {os.getpid()} on {os.uname().nodename}", None)
    try:
        _serve(role, folder, watch) if role != "worker" else _work(role, folder, watch)
    except PnnError as error:
        watch.fail(str(error))
    except Exception as error:
        watch.fail(f"{type(error).__name__}: {error}")
    watch.close()


def _work(role: str, folder: Path, watch: Watch) -> None:
    from pnn_gluon.cluster.network import compact_network
    from pnn_gluon.cluster.worker import Worker
    from pnn_gluon.ops import dense_precision, plain_operators
    from pnn_gluon.runtime import mx
    from pnn_gluon.training.loop import run

    job = Job.read(folder)
    watch.limit(job.shape.stall_seconds)
    compact = compact_network(job)
    os.environ["DMLC_ROLE"] = role
    store = mx.kv.create(KIND)
    options = job.training
    with plain_operators() if options.device == "gpu" else nullcontext(), dense_precision(options.precision):
        worker = Worker(job, compact, store, watch, folder)
        worker.write_result(run(worker, job.feeder(job.part(store.rank)), options, worker.progress))
    store._barrier()


def _serve(role: str, folder: Path, watch: Watch) -> None:
    from pnn_gluon.runtime import mx

    if role == "scheduler":
        os.environ["DMLC_ROLE"] = role
        _loop(mx.kv.create(KIND), lambda text: None)
        return
    from pnn_gluon.cluster.network import compact_network
    from pnn_gluon.cluster.server import Server
    from pnn_gluon.cluster.start import start_of

    job = Job.read(folder)
    compact = compact_network(job)
    checkpoint = job.checkpoint(folder)
    server = Server(job, compact, lambda number: start_of(job, compact.plan, folder, checkpoint, number), watch)
    os.environ["DMLC_ROLE"] = role
    store = mx.kv.create(KIND)

    def command(text: str) -> None:
        if not watch.limited:  # the first command: only now does the loop take what is to be done with a key
            watch.limit(job.shape.stall_seconds)
            store._set_updater(_guarded(server.receive, watch))
        server.command(text)

    _loop(store, _guarded(command, watch))


def _guarded(work: Callable[..., None], watch: Watch) -> Callable[..., None]:
    """The same, called from a loop that would print an exception and go on."""

    def call(*given: Any) -> None:
        try:
            work(*given)
        except Exception as error:
            watch.fail(str(error) if isinstance(error, PnnError) else f"{type(error).__name__}: {error}")

    return call


def _loop(store: Any, command: Callable[[str], None]) -> None:
    """MXNet's loop of a server or scheduler; it ends when all workers have."""
    from mxnet.base import _LIB, check_call

    kind = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    controller = kind(lambda head, body, _: command(body.decode()))
    check_call(_LIB.MXKVStoreRunServer(store.handle, controller, None))


def _end_with_parent() -> None:
    """A process whose starter was killed must not live on."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
