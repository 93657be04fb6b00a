"""What the tests of tracking share."""

import socket
from pathlib import Path

import pytest

from pnn_gluon.config import Config
from tests.tracking.small_store import small_store


@pytest.fixture
def tracked(tmp_path: Path) -> Config:
    """A pipeline of two days, of which nobody was told."""
    return small_store(tmp_path / "clicks")


@pytest.fixture
def unused_port() -> int:
    """A port of 127.0.0.1 at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
