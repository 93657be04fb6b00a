"""A score or publish that hangs at the deadline is ended, and the scores go out; what works on is waited for."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from jobs.overtaking import holders
from pnn_gluon.config import Config
from pnn_gluon.pipeline.opening import open_store
from tests.jobs.small_pipeline import DAYS

LAST = DAYS[-1]

HANGS = """
import os, signal, sys, time
from pathlib import Path
from pnn_gluon.file_lock import file_lock

signal.signal(signal.SIGTERM, signal.SIG_IGN)
with file_lock(Path(sys.argv[1])):
    if os.fork() == 0:  # holds the lock, too
        time.sleep(600)
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def hanging(lock: Path, seconds: float = 600) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock and hears no SIGTERM."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", HANGS, str(lock), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def run(config: Config, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs", "step", name, "--config", str(config.path), "--day", str(LAST), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def unmake(config: Config, table: str) -> None:
    (Path(config.store_root) / table / f"ds={LAST}.json").unlink()


def test_the_holder_of_a_lock_is_found_and_nobody_else(tmp_path: Path) -> None:
    lock, other = tmp_path / "lock", tmp_path / "other"
    other.touch()
    with hanging(lock) as process:
        assert [holder.pid for holder in holders(lock)] == [process.pid]
        assert holders(other) == []
    assert holders(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("name", "lock"),
    [
        ("score", f"scores-{LAST}"),
        pytest.param("publish", f"published-{LAST}", marks=pytest.mark.long),
    ],
)
def test_what_hangs_at_the_deadline_is_ended_and_the_day_is_made(built: Config, name: str, lock: str) -> None:
    unmake(built, {"score": "scores", "publish": "published"}[name])
    with hanging(open_store(built).lock_file(lock)) as process:
        done = run(built, name, "--overtake", "0.02")
        assert done.returncode == 0, done.stderr
        assert f"process {process.pid} is still at work on it after 0.02 minutes: it is ended" in done.stderr
        assert process.wait(10) == -signal.SIGKILL
        with open_store(built).lock(lock):
            pass  # what it had started is gone, too
    assert open_store(built).manifest("published" if name == "publish" else "scores", LAST) is not None


def test_what_ends_in_time_is_waited_for_and_what_it_made_is_not_made_again(built: Config) -> None:
    path = Path(built.store_root) / "counts" / f"ds={LAST}.json"
    made = path.read_bytes()
    path.unlink()
    command = [sys.executable, "-m", "jobs", "step", "count", "--config", str(built.path), "--day", str(LAST), "--wait"]
    with open_store(built).lock(f"counts-{LAST}"):
        waiting = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(4)
        path.write_bytes(made)
    said, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, json.loads(said)["status"]) == (0, "skipped")
