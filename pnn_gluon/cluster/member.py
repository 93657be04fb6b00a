"""Which process of a cluster this one is to be, when something else starts them: MPI, Kubernetes, Spark, Airflow.

Process 0 is the scheduler, then come the servers, then the workers.
"""

import socket
import time
from collections.abc import Callable, Mapping

from pnn_gluon.errors import ConfigError, PnnError

RANK = "PNN_GLUON_CLUSTER_RANK"

RANKS = (RANK, "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "JOB_COMPLETION_INDEX")
"""Variables with the number of a process: our own, those of MPI, that of an Indexed Job of Kubernetes."""

PORT = 9091
"""Where the scheduler listens when something else starts the processes, unless told otherwise."""

_LOOK_SECONDS, _LOOKS = 1.0, 10
"""How often the scheduler is tried; after so many tries, whether there is something to do at all."""


def role_of(variables: Mapping[str, str], servers: int, workers: int) -> str:
    """The role of this process: DMLC_ROLE, or what its number says.

    >>> [role_of({"OMPI_COMM_WORLD_RANK": str(number)}, servers=1, workers=2) for number in range(4)]
    ['scheduler', 'server', 'worker', 'worker']

    Raises:
        ConfigError: no variable says it, or not rightly.
    """
    roles = ["scheduler", *["server"] * servers, *["worker"] * workers]
    role = variables.get("DMLC_ROLE")
    if role is not None:
        if role not in roles:
            raise ConfigError(f"DMLC_ROLE is {role!r}, expected scheduler, server or worker")
        return role
    name = next((name for name in RANKS if name in variables), None)
    if name is None:
        raise ConfigError(f"no variable says which process this is to be: set DMLC_ROLE or one of {', '.join(RANKS)}")
    if not variables[name].isdecimal() or int(variables[name]) >= len(roles):
        raise ConfigError(
            f"{name} is {variables[name]!r}, expected 0 to {len(roles) - 1}: one scheduler, {servers} servers "
            f"(engine.cluster.servers), {workers} workers (training.workers)"
        )
    return roles[int(variables[name])]


def root_of(variables: Mapping[str, str]) -> tuple[str, int] | None:
    """Host and port of the scheduler, by DMLC_PS_ROOT_URI and DMLC_PS_ROOT_PORT; None where they are not set.

    Raises:
        ConfigError: one is missing, or the port is none.
    """
    host, port = variables.get("DMLC_PS_ROOT_URI"), variables.get("DMLC_PS_ROOT_PORT")
    if host is None and port is None:
        return None
    if not host or not port or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ConfigError(f"DMLC_PS_ROOT_URI is {host!r}, DMLC_PS_ROOT_PORT {port!r}: expected a host and a port")
    return host, int(port)


def own_host(variables: Mapping[str, str], root: tuple[str, int]) -> str:
    """Where this process listens: DMLC_NODE_HOST, or this machine's address from which it reaches the scheduler."""
    if host := variables.get("DMLC_NODE_HOST"):
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(root)
        return str(probe.getsockname()[0])


def await_scheduler(root: tuple[str, int], seconds: float, nothing_to_do: Callable[[], bool]) -> bool:
    """Return True when the scheduler listens, False when there is nothing to do.

    Raises:
        PnnError: neither was so within these seconds.
    """
    until, looks = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        try:
            socket.create_connection(root, timeout=_LOOK_SECONDS).close()
        except OSError:
            if looks % _LOOKS == 0 and nothing_to_do():
                return False
            looks += 1
            time.sleep(_LOOK_SECONDS)
        else:
            return True
    raise PnnError(f"training on a cluster: no scheduler listened on {root[0]}:{root[1]} within {seconds:g} seconds")
