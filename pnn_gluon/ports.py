"""Ports of this machine, reachable from nowhere else."""

import socket

HOST = "127.0.0.1"
"""Where our servers listen unless told otherwise."""


def is_free(port: int) -> bool:
    """Whether a server could listen on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
