"""One Ctrl-C, or SIGTERM, ends a command and all that it started."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import psutil

PATIENCE = 10.0
"""Seconds that the processes we started get to tidy up."""


ONE_SIGNAL = 1.0
"""Seconds within which further signals count as the same one."""


AGAIN = 0.1
"""Seconds after which a signal is sent again that nothing could be raised for."""


class Stopped(BaseException):
    """Somebody asked the command to end; not an error, so that nothing takes it for one and tries again."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_status = 128 + number


def raise_when_stopped() -> None:
    """From now on SIGINT and SIGTERM raise Stopped, so that what is open is closed; one that comes later kills.

    Senders such as timeout(1) signal a process and then its whole group: a second signal at once is the first again.
    One that comes where Python ignores exceptions (while an object is deleted, or after a fork) is sent again.
    """
    heard: list[float] = []
    others = sys.unraisablehook

    def stop(number: int, frame: FrameType | None) -> None:
        heard.append(time.monotonic())
        if len(heard) == 1:
            raise Stopped(number)
        if heard[-1] - heard[0] > ONE_SIGNAL:
            _default()
            os.kill(os.getpid(), number)

    def ignored(told: "sys.UnraisableHookArgs") -> None:
        if not isinstance(told.exc_value, Stopped):
            others(told)
            return
        heard.clear()
        again = threading.Timer(AGAIN, os.kill, (os.getpid(), told.exc_value.exit_status - 128))
        again.daemon = True
        again.start()

    sys.unraisablehook = ignored
    _on_both(stop)


@contextmanager
def ends_at_once(words: str) -> Iterator[None]:
    """Within the block the first signal ends this process and its children, whatever code would catch an exception.

    Signals are heard by a thread, since Airflow puts a handler of its own in the place of ours while a task runs.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    listens, speaks = socket.socketpair()
    speaks.setblocking(False)
    signal.set_wakeup_fd(speaks.fileno(), warn_on_full_buffer=False)
    _on_both(lambda number, frame: time.sleep(2 * PATIENCE))  # nothing new is begun while the thread ends everything
    told = threading.Event()
    thread = threading.Thread(target=_end_when_told, args=(listens, words, told), daemon=True)
    thread.start()
    try:
        yield
    finally:
        if told.is_set():
            thread.join()  # which ends this process: that a child of ours was ended is no failure to report
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        speaks.close()


def _end_when_told(listens: socket.socket, words: str, told: threading.Event) -> None:
    """Wait for the number of a signal; return when there will be no more."""
    while number := listens.recv(1):
        if number[0] in {signal.SIGINT, signal.SIGTERM}:
            told.set()
            end_children()
            _leave(words, 128 + number[0])
    listens.close()


def end_children() -> None:
    """Interrupt every process below this one, wait for it to tidy up, kill what is left; until there is none."""
    while children := [child for child in psutil.Process().children(recursive=True) if _lives(child)]:
        for child in children:
            _send(child, signal.SIGINT)
        for child in psutil.wait_procs(children, timeout=PATIENCE)[1]:
            _send(child, signal.SIGKILL)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _leave(words: str, status: int) -> NoReturn:
    """End without unwinding: the code between here and the top believes that it may go on."""
    shown = "\x1b[?25h" if sys.stderr.isatty() else ""  # a progress bar hides the cursor
    os.write(2, f"{shown}\n{words}\n".encode())
    os._exit(status)


def _default() -> None:
    _on_both(signal.SIG_DFL)


def _on_both(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)
