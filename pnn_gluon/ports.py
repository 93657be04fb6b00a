"""Ports of this machine, reachable from nowhere else."""

import socket

HOST = "127.0.0.1"
"""Where our servers listen unless told otherwise."""


ANY = "0.0.0.0"  # noqa: S104
"""Every address of this machine."""


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a server could listen on a port of an address of this machine; 0 stands for any port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
