"""Starts the processes of a job, watches them, and ends all of them when one ends badly."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pnn_gluon.cluster.environment import role_environment
from pnn_gluon.cluster.job import FAILED_FILE, RESULT_FILE, Job
from pnn_gluon.cluster.watch import OTHER_FAILED_STATUS, tell_failure
from pnn_gluon.errors import PnnError
from pnn_gluon.ports import HOST
from pnn_gluon.runtime import available_processors

NODE = ("-W", "ignore", "-m", "pnn_gluon.cluster.node")
"""What Python is told to be a process of a cluster; the job's folder follows."""

PATIENCE = 10.0
"""Seconds that processes get to end by themselves when the work is done, or when another has failed."""

_POLL = 0.05


@dataclass(frozen=True)
class Hosts:
    """Machines of a cluster; all see the job's folder under the same path.

    Attributes:
        workers: Where workers run, one after the other.
        servers: Where servers run.
        address: Address of this machine, where the scheduler runs, as the others reach it.
        command: What starts a program there: `ssh -o BatchMode=yes HOST COMMAND`.
        python: The interpreter there; None for the path of this one.
    """

    workers: tuple[str, ...]
    servers: tuple[str, ...]
    address: str
    command: tuple[str, ...] = ("ssh", "-o", "BatchMode=yes", "-tt")
    python: str | None = None


@dataclass(frozen=True)
class _Started:
    name: str
    process: "subprocess.Popen[bytes]"


def launch(folder: Path, hosts: Hosts | None = None) -> None:
    """Run the job of a folder to its end, all on this machine or on several.

    When one process ends badly, or none gets on for `stall_seconds`, all end within some seconds.

    Raises:
        PnnError: a process failed; the message is its reason.
    """
    job = Job.read(folder)
    for name in (FAILED_FILE, RESULT_FILE):
        (folder / name).unlink(missing_ok=True)
    started: list[_Started] = []
    try:
        for name, command, variables in _commands(job, folder, hosts):
            environment = None if variables is None else os.environ | variables
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603
            started.append(_Started(name, process))
        _wait(started, folder)
    finally:
        _end([each.process for each in started])


def _commands(job: Job, folder: Path, hosts: Hosts | None) -> list[tuple[str, list[str], dict[str, str] | None]]:
    """Name, command and variables of every process; without variables where the command sets them itself."""
    shape = job.shape
    address = HOST if hosts is None else _numeric(hosts.address)
    root = (address, _free_port(address))
    roles = ["scheduler", *["server"] * shape.servers, *["worker"] * shape.workers]
    threads = max(1, _threads() // shape.workers) if hosts is None else None
    commands: list[tuple[str, list[str], dict[str, str] | None]] = []
    for number, role in enumerate(roles):
        at = number - {"scheduler": 0, "server": 1, "worker": 1 + shape.servers}[role]
        where = None if hosts is None or role == "scheduler" else _of(hosts, role, at)
        variables = role_environment(
            role,
            workers=shape.workers,
            servers=shape.servers,
            root=root,
            host=_numeric(where or address),
            threads=threads,
        )
        python = (hosts.python if hosts and where else None) or sys.executable
        command = [python, *NODE, str(folder)]
        name = f"{role} {at}" + (f" on {where}" if where else "")
        if hosts is None or where is None:
            commands.append((name, command, variables))
        else:
            text = shlex.join(["env", *(f"{key}={value}" for key, value in variables.items()), *command])
            commands.append((name, [*hosts.command, where, text], None))
    return commands


def _threads() -> int:
    """Threads of this process, which all workers of a machine share."""
    return int(os.environ.get("OMP_NUM_THREADS") or available_processors())


def _of(hosts: Hosts, role: str, number: int) -> str:
    names: Sequence[str] = hosts.workers if role == "worker" else hosts.servers
    return names[number % len(names)]


def _wait(started: list[_Started], folder: Path) -> None:
    """Return when all workers have ended well."""
    workers = [each for each in started if each.name.startswith("worker")]
    while True:
        for each in started:
            status = each.process.poll()
            if status not in {None, 0}:
                _report(each, status, folder)
        if _over(workers):
            return
        time.sleep(_POLL)


def _over(workers: list[_Started]) -> bool:
    return all(each.process.poll() == 0 for each in workers)


def _report(failed: _Started, status: int, folder: Path) -> None:
    """Raise what a process that ended badly has said, or how it ended."""
    if status != OTHER_FAILED_STATUS:
        tell_failure(folder, f"{failed.name}: {_how(status)}")
    reason = (folder / FAILED_FILE).read_text().strip()
    raise PnnError(f"training on a cluster: {reason}")


def _how(status: int) -> str:
    if status < 0:
        return f"the process was ended by {signal.Signals(-status).name}"
    return f"the process ended with status {status} before the work was done; what it said stands above"


def _end(processes: "list[subprocess.Popen[bytes]]") -> None:
    """Let all end, then see that they have."""
    until = time.monotonic() + PATIENCE
    while any(each.poll() is None for each in processes) and time.monotonic() < until:
        time.sleep(_POLL)
    for each in processes:
        if each.poll() is None:
            each.kill()
        each.wait()


def _numeric(host: str) -> str:
    """The address of a host: the parameter server listens on addresses only.

    Raises:
        PnnError: nobody knows the name.
    """
    try:
        return socket.gethostbyname(host)
    except OSError as error:
        raise PnnError(f"training on a cluster: host {host!r} has no address ({error}); see engine.cluster") from error


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
