"""Errors of the disk name a file and what to do."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from jobs.command import guarded
from jobs.running import Outcome
from pnn_gluon.disk_errors import ADVICE, explained, naming


@pytest.mark.parametrize("number", ADVICE)
def test_an_error_without_a_file_gets_one_and_advice(number: int) -> None:
    with pytest.raises(OSError, match="store/rows") as raised, naming(Path("store/rows")):
        raise OSError(number, os.strerror(number))
    assert explained(raised.value).endswith(ADVICE[number])


def test_the_file_that_the_system_named_stays() -> None:
    with pytest.raises(OSError, match="inner"), naming(Path("outer")):
        raise OSError(errno.ENOSPC, "full", "inner")


def test_other_errors_are_told_as_they_are() -> None:
    with pytest.raises(OSError, match="gone") as raised, naming(Path("outer")):
        raise ConnectionResetError(errno.ECONNRESET, "gone")
    assert explained(raised.value) == f"[Errno {errno.ECONNRESET}] gone"


LIMITED = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from pnn_gluon.atomic import write_atomically
from pnn_gluon.disk_errors import explained
from pnn_gluon.store.tables import TableWriter
def table(path):
    with TableWriter(path, plain=("x",)) as writer:
        writer.write(pa.record_batch({"x": [i * 1.7 for i in range(90000)]}))
for write in (lambda path: write_atomically(path, b"x" * 90000), table):
    resource.setrlimit(resource.RLIMIT_FSIZE, (30000, resource.RLIM_INFINITY))
    try:
        write(Path(sys.argv[1]) / "big.bin")
        print("nothing raised")
    except OSError as error:
        print(explained(error))
"""


def test_a_file_over_the_limit_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "big.bin" in line
        assert line.endswith(ADVICE[errno.EFBIG])


def test_a_full_disk_under_the_sql_engine_is_told_without_a_traceback(
    capsys: pytest.CaptureFixture[str], shown_log: None
) -> None:
    def work() -> Outcome:
        raise duckdb.IOException('Could not write file "/tmp/x/spill": No space left on device')

    assert guarded(work) == 1
    said = capsys.readouterr().err
    assert said.startswith('error: the SQL engine: Could not write file "/tmp/x/spill": No space left on device; free')
    assert "Traceback" not in said
