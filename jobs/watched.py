"""Work in a child process, so that its death by a signal can be told: no process can tell its own."""

import logging
import os
import sys
import traceback
from collections.abc import Callable

from jobs.stopping import Stopped, end_children
from pnn_gluon.errors import PnnError
from pnn_gluon.signals import death_by_signal

log = logging.getLogger(__name__)

Note = Callable[[str], None]


def watched(work: Callable[[Note], int]) -> int:
    """The exit status of some work done in a fork of this process; `work` notes what it is at.

    Call it before anything starts threads.

    Raises:
        PnnError: when a signal ended the child; it names the last note, the signal and what to set.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    try:
        child = os.fork()
        if child == 0:
            os.close(reader)
            _work(work, writer)
        os.close(writer)
        with os.fdopen(reader) as notes:
            at = [line.strip() for line in notes][-1:]
        _, ended = os.waitpid(child, 0)
    except Stopped:  # whenever it comes, as soon as there may be a child
        end_children()
        raise
    if os.WIFSIGNALED(ended):
        raise PnnError(death_by_signal(at[0] if at else "the command", os.WTERMSIG(ended)))
    return os.waitstatus_to_exitcode(ended)


def _work(work: Callable[[Note], int], writer: int) -> None:
    """Do the work and end this process with its status."""
    status = 1
    try:
        status = work(lambda text: _note(writer, text))
    except PnnError as error:
        log.error("error: %s", error)
        status = error.exit_status
    except Stopped as stop:
        status = stop.exit_status
    except Exception:
        log.error(traceback.format_exc().rstrip())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _note(writer: int, text: str) -> None:
    os.write(writer, f"{text}\n".encode())
