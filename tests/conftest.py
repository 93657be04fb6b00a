import gc
import io
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from jobs.huge_pages import SWITCH
from jobs.logs import LOGGERS, show_on_stderr
from pnn_gluon.warehouse.embedded_postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from tests.object_server import ObjectServer

settings.register_profile("suite", deadline=None)  # how long an example takes is a matter of what else runs
settings.load_profile("suite")

os.environ.setdefault(SWITCH, "0")  # commands that train would load themselves twice, hundreds of times


_LOADED = pytest.StashKey[frozenset[str]]()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Thousands of tests stay to the end: looking for garbage among them takes a third of the time of collecting."""
    gc.disable()
    try:
        return (yield)
    finally:
        session.config.stash[_LOADED] = frozenset(sys.modules)
        gc.freeze()
        gc.enable()


def pytest_unconfigure() -> None:
    """What was set aside is given up in order, or DuckDB tells of leaks."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def loaded_by_collecting(pytestconfig: pytest.Config) -> frozenset[str]:
    """Modules that were loaded when all tests of this run had been collected and none had run."""
    return pytestconfig.stash[_LOADED]


_FIRST = (
    "tests/dags/",
    "tests/jobs/test_local_airflow.py",
    "tests/warehouse/test_embedded_postgres.py",
    "tests/warehouse/test_score_table.py",
    "tests/training/test_checkpoint.py",
)
"""What takes longest. At the end of a run it would keep one worker busy while the others have nothing to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: not item.nodeid.startswith(_FIRST))


@pytest.hookimpl(optionalhook=True)  # also without pytest-xdist, as under `make mutants`
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file a worker, and all of tests/dags the same one: they share an Airflow whose days take minutes to run."""
    from xdist.scheduler import LoadFileScheduling

    class OneWorkerForTheDags(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            scope = str(super()._split_scope(nodeid))
            return "tests/dags" if scope.startswith("tests/dags/") else scope

    return OneWorkerForTheDags(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A running PostgreSQL server in a temporary folder; its databases are shared by the session."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    folder.chmod(0o755)  # root runs the server as nobody, who must pass through
    with EmbeddedPostgres(folder / "postgres").running() as server:
        yield server
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[ObjectServer]":
    """An S3 server, shared by the session, and credentials for it; whoever uses it makes a bucket of his own."""
    from tests.object_server import serving

    with serving(tmp_path_factory.mktemp("objects")) as server:
        yield server


@pytest.fixture(autouse=True)
def _warnings_are_heard() -> None:
    """Airflow in the same process, set up for an earlier test, silences the root logger that `caplog` listens to."""
    logging.getLogger().setLevel(logging.WARNING)


class _StderrOfTheMoment(io.StringIO):
    """Hands on to `sys.stderr`, which pytest replaces between the set-up of a test and its call."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)


@pytest.fixture
def shown_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The log on standard error, as a command shows it."""
    before = [(each, each.level, each.handlers, each.propagate) for each in map(logging.getLogger, LOGGERS)]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", _StderrOfTheMoment())
        show_on_stderr()
    yield
    for logger, level, logger.handlers, logger.propagate in before:
        logger.setLevel(level)


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
