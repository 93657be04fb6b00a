"""Calls of the supervisord of a home, over its socket."""

import hashlib
import http.client
import os
import socket
import tempfile
import xmlrpc.client
from pathlib import Path
from typing import Any

from pnn_gluon.errors import ConfigError

TIMEOUT = 90.0  # seconds; the longest call is that which stops everything
SOCKET_PATH_LIMIT = 107


def parts(home: Path) -> dict[str, str]:
    """supervisord's word on each process of this home."""
    return {process["name"]: process["statename"] for process in rpc(home).getAllProcessInfo()}


def ages(home: Path) -> dict[str, float]:
    """For how many seconds each process of this home has run, since it was started last."""
    return {process["name"]: process["now"] - process["start"] for process in rpc(home).getAllProcessInfo()}


def rpc(home: Path) -> Any:
    """A caller of supervisord's functions, e.g. ``rpc(home).stopProcess("airflow:scheduler")``."""
    proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(socket_path(home)))
    return proxy.supervisor


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _UnixConnection(self._path)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def socket_path(home: Path) -> Path:
    """Where supervisord listens."""
    return private_socket(home, "supervisor", "")


def private_socket(home: Path, name: str, suffix: str) -> Path:
    """A socket in the home if its path is short enough for one, else in a private temporary folder.

    Args:
        home: Of the Airflow.
        name: Of the socket in the home.
        suffix: What tells it from others of this home in the temporary folder.
    """
    path = home / f"{name}.sock"
    # supervisord binds a temporary name, the path with a dot and its process number, first.
    if len(os.fsencode(path)) + 12 <= SOCKET_PATH_LIMIT:
        return path
    folder = Path(tempfile.gettempdir()) / f"pnn_gluon-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077 or folder.is_symlink():
        raise ConfigError(f"{folder} must be a folder of ours with mode 0700; remove it or use a shorter home")
    return folder / f"{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}{suffix}.sock"


def supervisor_answers(home: Path) -> bool:
    """Whether supervisord runs and is at work in this home."""
    try:
        return bool(rpc(home).getState()["statename"] == "RUNNING")
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return False
