"""The shim, built once, a warm process that has it before libc, and days for it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.changed_day import DATA_STEPS, STEPS, ChangedDay, changed_day
from tests.faults.warm_process import Warm, warm_process
from tests.jobs.small_pipeline import SCORES_VARIABLE


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shim as a library; skips without a C compiler."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("no C compiler (cc, or $CC) to build tests/faults/shim.c with")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, "-o", library, Path(__file__).with_name("shim.c"), "-ldl"], check=True)
    return library


@pytest.fixture(scope="session")
def warm(shim: Path) -> Iterator[Warm]:
    """A warm process; nothing is published in these tests, so the score server's address leads nowhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SCORES_VARIABLE, "postgresql://nowhere")
        with warm_process(shim) as process:
            yield process


@pytest.fixture(scope="session")
def data_day(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> ChangedDay:
    """A changed day up to the training."""
    return changed_day(tmp_path_factory.mktemp("data"), warm, DATA_STEPS)


@pytest.fixture(scope="session")
def whole_day(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> ChangedDay:
    """A changed day with all of its steps."""
    return changed_day(tmp_path_factory.mktemp("whole"), warm, STEPS)


@pytest.fixture(scope="session")
def day_of_workers(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> ChangedDay:
    """A changed day whose files are taken in by two processes."""
    return changed_day(tmp_path_factory.mktemp("workers"), warm, ["ingest"], threads=2)
