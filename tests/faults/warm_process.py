"""Steps of a day in forks of a process that has loaded everything, with the shim before libc.

As a program it reads one request a line and answers each with a line; `Warm` is its other end.
"""

import ctypes
import dataclasses
import datetime
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pnn_gluon.errors import PnnError

Mode: TypeAlias = Literal["count", "kill", "no space", "I/O error", "short write"]
MODES: dict[Mode, int] = {"count": 0, "kill": 1, "no space": 2, "I/O error": 3, "short write": 4}
"""The modes of shim.c, which has the same numbers. A kill is right after a call, which is right before the next."""

ROOT = Path(__file__).parents[2]
PATIENCE = 120
"""Seconds after which a step that hangs is ended by SIGALRM."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens at the call of a number, from 1; every call is written into `log`, if there is one."""

    mode: Mode = "count"
    call: int = 0
    log: str | None = None


@dataclasses.dataclass(frozen=True)
class End:
    """How a step ended.

    Attributes:
        status: of its outcome; None without one.
        signal: that ended its process; None if none did.
        error: the type and text of what it raised; None if nothing.
        told: whether that is an error that a user is told without a traceback.
        calls: calls that change the store.
        fired: calls that went wrong.
    """

    status: str | None = None
    signal: int | None = None
    error: str | None = None
    told: bool = False
    calls: int = 0
    fired: int = 0


class Warm:
    """The client of a process that is ready to run steps."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, config: Path, step: str, day: datetime.date, fault: Fault | None = None) -> End:
        """Run a step of a day with a fault in it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"config": str(config), "step": step, "day": str(day), "fault": dataclasses.asdict(fault or Fault())}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, "the warm process ended"
        return End(**json.loads(answer))


@contextmanager
def warm_process(shim: Path) -> Iterator[Warm]:
    """A warm process with the shim, which ends with the block."""
    environment = {**os.environ, "LD_PRELOAD": str(shim), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.warm_process"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Warm(process)
        assert process.stdin is not None
        process.stdin.close()


def _serve() -> None:
    _load_everything()
    for line in sys.stdin:
        print(json.dumps(dataclasses.asdict(_in_a_fork(json.loads(line)))), flush=True)


def _load_everything() -> None:
    """What steps load when they run, MXNet above all; nothing of it may start a thread, which a fork would lack."""
    import jobs.steps
    import pnn_gluon.data

    for package in (jobs.steps, pnn_gluon.data):
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):  # the native library is no module
                importlib.import_module(f"{package.__name__}.{module.name}")
    for name in ("pnn_gluon.ops", "pnn_gluon.serving.bundle", "pnn_gluon.training.loop", "pnn_gluon.training.export"):
        importlib.import_module(name)
    sys.modules["pnn_gluon.ops"].library_state()  # loads the native library; MXNet then makes its functions anew


def _in_a_fork(request: dict[str, Any]) -> End:
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        signal.alarm(PATIENCE)
        os.write(sending, json.dumps(dataclasses.asdict(_faulty(request))).encode())
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        answer = pipe.read()
    _, ended = os.waitpid(child, 0)
    return End(**json.loads(answer)) if answer else End(signal=os.WTERMSIG(ended))


def _faulty(request: dict[str, Any]) -> End:
    """Run a step with the shim armed for the folder of the store."""
    from pnn_gluon.config import load_config
    from pnn_gluon.data import pieces

    pieces.TOGETHER_BYTES = 0  # a worker for each file, were it ever so small
    shim, fault = ctypes.CDLL(None), Fault(**request["fault"])
    config = load_config(Path(request["config"]))
    log = fault.log.encode() if fault.log else None
    shared = f"{config.store_root}.plan"
    for path in (shared, *([fault.log] if fault.log else [])):
        Path(path).unlink(missing_ok=True)
    shim.faults_arm(str(config.store_root).encode(), ctypes.c_long(fault.call), MODES[fault.mode], log, shared.encode())
    end = _ended(config, request["step"], datetime.date.fromisoformat(request["day"]))
    shim.faults_disarm()
    return dataclasses.replace(end, calls=shim.faults_calls(), fired=shim.faults_fired())


def _ended(config: Any, name: str, day: datetime.date) -> End:
    from jobs.command import _engine_lacks_room
    from jobs.running import run_step
    from pnn_gluon.pipeline.steps import step

    try:
        return End(status=run_step(step(name), config, day).status)
    except Exception as error:
        told = isinstance(error, PnnError | OSError) or _engine_lacks_room(error)
        return End(error=f"{type(error).__name__}: {error}", told=told)


if __name__ == "__main__":
    _serve()
