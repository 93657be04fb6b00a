"""Ends a process that hangs at a day which somebody else must have: what the deadline of the scores does."""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

log = logging.getLogger(__name__)

PATIENCE = 3.0
"""Seconds that a process gets to tidy up before it is killed."""

AGAIN = 5.0
"""Seconds until the next look."""


def overtake(locks: Sequence[Path], minutes: float) -> None:
    """From so many minutes on, while this process lives, end every other one on this machine that holds a lock.

    For a process that waits for these locks. A holder on another machine is left alone: its time limit ends it.
    """
    threading.Thread(target=_watch, args=(locks, minutes), daemon=True).start()


def _watch(locks: Sequence[Path], minutes: float) -> None:
    pause = threading.Event()
    pause.wait(minutes * 60)
    while True:
        for holder in {holder for lock in locks for holder in holders(lock)}:
            log.warning("process %d is still at work on it after %g minutes: it is ended", holder.pid, minutes)
            end(holder)
        pause.wait(AGAIN)


def holders(lock: Path) -> list[psutil.Process]:
    """The other processes of ours that hold a lock, by what the system says of locks and of open files."""
    try:
        inode = lock.stat().st_ino
        known = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    found = [line.split() for line in known]
    pids = {int(words[4]) for words in found if words[1] == "FLOCK" and words[5].split(":")[-1] == str(inode)}
    return [process for pid in pids if (process := _other(pid)) and _has_open(process, lock)]


def _other(pid: int) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None
    return None if process == psutil.Process() else process


def _has_open(process: psutil.Process, lock: Path) -> bool:
    try:
        return str(lock.resolve()) in {file.path for file in process.open_files()}
    except psutil.Error:
        return False


def end(process: psutil.Process) -> None:
    """Ask a process and those below it to end, then kill what is left; they hold the lock together."""
    with suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.terminate()
        for each in psutil.wait_procs(family, timeout=PATIENCE)[1]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
