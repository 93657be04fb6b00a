"""Nobody waits for ever: a process of a cluster ends when another has failed, or when nothing has come for long."""

import os
import threading
import time
from pathlib import Path

from pnn_gluon.cluster.job import FAILED_FILE

LOOK_SECONDS = 0.5
"""How often a process looks whether another has failed."""

FAILED_STATUS = 70
"""Exit status of a process that failed."""

OTHER_FAILED_STATUS = 75
"""Exit status of a process that ended because another failed."""


class Watch:
    """Ends the process, from a thread of its own, when the job has failed or is stuck.

    MXNet's parameter server notices no death: whoever waits for a dead process waits for ever.

    Args:
        folder: Of the job.
        name: Of this process, for the message.
        stall_seconds: How long it may see nothing before it calls the job stuck; None for ever.
    """

    def __init__(self, folder: Path, name: str, stall_seconds: float | None) -> None:
        self._failed, self._name, self._stall = folder / FAILED_FILE, name, stall_seconds
        self._last = time.monotonic()
        self._over = threading.Event()
        threading.Thread(target=self._look, name="watch", daemon=True).start()

    def limit(self, stall_seconds: float) -> None:
        """From now on call the job stuck when nothing came for so long."""
        self.seen()
        self._stall = stall_seconds

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self._stall is not None

    def seen(self) -> None:
        """Something came, or a step was finished."""
        self._last = time.monotonic()

    def quiet(self) -> float:
        """Seconds since then."""
        return time.monotonic() - self._last

    def close(self) -> None:
        """All is done: from now on nothing is waited for."""
        self._over.set()

    def fail(self, reason: str) -> None:
        """Tell all processes why, and end this one."""
        tell_failure(self._failed.parent, f"{self._name}: {reason.strip().splitlines()[-1]}")
        os._exit(FAILED_STATUS)

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            if self._failed.exists():
                os._exit(OTHER_FAILED_STATUS)
            if self._stall is not None and self.quiet() > self._stall:
                self.fail(
                    f"nothing came from the others for {self._stall:g} seconds (stall_seconds): a process hangs, or "
                    "cannot be reached"
                )


def tell_failure(folder: Path, reason: str) -> None:
    """Write down, in one line, why a job failed, unless that is known: the first reason is the cause of the others."""
    try:
        with (folder / FAILED_FILE).open("x") as file:
            file.write(reason + "\n")
    except FileExistsError:
        return
