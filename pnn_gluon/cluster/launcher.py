"""Starts the processes of a job, or one of them, watches them, and ends all of them when one ends badly."""

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
class Outside:
    """Servers and workers are started by something else; see `pnn_gluon.cluster.member`.

    Attributes:
        root: Address and port where the scheduler listens.
    """

    root: tuple[str, int]


_Command = tuple[str, list[str], dict[str, str] | None]
"""Name, command and variables of a process; without variables where the command sets them itself."""


@dataclass(frozen=True)
class _Started:
    name: str
    process: "subprocess.Popen[bytes]"


def launch(folder: Path, where: Hosts | Outside | None = None) -> None:
    """Run the job of a folder to its end, all on this machine or on several; or the scheduler alone.

    When one process ends badly, or none gets on for `stall_seconds`, all end within some seconds.

    Raises:
        PnnError: a process failed; the message is its reason.
    """
    job = Job.read(folder)
    for name in (FAILED_FILE, RESULT_FILE):
        (folder / name).unlink(missing_ok=True)
    if isinstance(where, Outside):
        host = os.environ.get("DMLC_NODE_HOST", where.root[0])  # of a pod, which does not resolve its own name yet
        _run([_one_command(job, folder, "scheduler", (host, where.root[1]), host)], folder, "scheduler")
    else:
        _run(_commands(job, folder, where), folder, "worker")
    if not (folder / RESULT_FILE).exists():
        raise PnnError("training on a cluster: the scheduler ended before the work was done")


def _one_command(job: Job, folder: Path, role: str, root: tuple[str, int], host: str) -> _Command:
    """What starts one process on this machine, which listens on the address of a host."""
    variables = role_environment(
        role, workers=job.shape.workers, servers=job.shape.servers, root=(numeric(root[0]), root[1]), host=numeric(host)
    )
    return f"{role} on {os.uname().nodename}", [sys.executable, *NODE, str(folder)], variables


def join(folder: Path, role: str, root: tuple[str, int], host: str) -> None:
    """Be one process of a job that was started elsewhere, to its end.

    Raises:
        PnnError: a process failed; the message is its reason.
    """
    _run([_one_command(Job.read(folder), folder, role, root, host)], folder, role)


def _run(commands: Sequence[_Command], folder: Path, role: str) -> None:
    """Run processes until those of a role have ended well."""
    started: list[_Started] = []
    try:
        for name, command, variables in commands:
            environment = None if variables is None else os.environ | variables
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603
            started.append(_Started(name, process))
        _wait(started, folder, role)
    finally:
        _end([each.process for each in started])


def _commands(job: Job, folder: Path, hosts: Hosts | None) -> list[_Command]:
    """What starts every process."""
    shape = job.shape
    address = HOST if hosts is None else numeric(hosts.address)
    root = (address, _free_port(address))
    roles = ["scheduler", *["server"] * shape.servers, *["worker"] * shape.workers]
    threads = max(1, _threads() // shape.workers) if hosts is None else None
    commands: list[_Command] = []
    for number, role in enumerate(roles):
        at = number - {"scheduler": 0, "server": 1, "worker": 1 + shape.servers}[role]
        where = None if hosts is None or role == "scheduler" else _of(hosts, role, at)
        variables = role_environment(
            role,
            workers=shape.workers,
            servers=shape.servers,
            root=root,
            host=numeric(where or address),
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


def _wait(started: list[_Started], folder: Path, role: str) -> None:
    """Return when all of a role have ended well."""
    awaited = [each for each in started if each.name.startswith(role)]
    while True:
        for each in started:
            status = each.process.poll()
            if status not in {None, 0}:
                _report(each, status, folder)
        if _over(awaited):
            return
        time.sleep(_POLL)


def _over(processes: list[_Started]) -> bool:
    return all(each.process.poll() == 0 for each in processes)


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


def numeric(host: str) -> str:
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
