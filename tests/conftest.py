import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A running PostgreSQL server in a temporary folder; its databases are shared by the session."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    folder.chmod(0o755)  # root runs the server as nobody, who must pass through
    with EmbeddedPostgres(folder / "postgres").running() as server:
        yield server
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Finds an excerpt of real logs in $PNN_GLUON_DATA, or in shared/data beside the checkout; skips without it."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PNN_GLUON_DATA", beside))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"no real data at {path}; set PNN_GLUON_DATA to a folder that has {name}")
        return path

    return find
