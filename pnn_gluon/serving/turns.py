"""One thread that scores: requests that wait at the same time are computed together."""

import itertools
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from pnn_gluon.arrays import Floats
from pnn_gluon.serving.live_model import FEW_ROWS, LiveModel
from pnn_gluon.serving.request_rows import Columns

MOST_ROWS = FEW_ROWS[-1]
"""Rows of a turn, unless one request has more."""


class _Waiting(NamedTuple):
    model: LiveModel
    columns: Columns
    answer: "Future[Floats]"

    @property
    def rows(self) -> int:
        return len(self.columns[0])


class Turns:
    """Scores what waits, turn after turn. A row's bits do not depend on the rows beside it, so a turn may mix requests.

    A turn has requests of one model only.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="scorer", daemon=True)
        self._thread.start()

    def submit(self, model: LiveModel, columns: Columns) -> "Future[Floats]":
        """The probabilities (B,) of rows, when their turn came."""
        waiting = _Waiting(model, columns, Future())
        self._queue.put(waiting)
        return waiting.answer

    def close(self) -> None:
        """End the thread after what waits."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        first = self._queue.get()
        while first is not None:
            turn, after = self._with_others(first)
            _score([each for each in turn if each.answer.set_running_or_notify_cancel()])
            first = after[0] if after else self._queue.get()

    def _with_others(self, first: _Waiting) -> tuple[list[_Waiting], list[_Waiting | None]]:
        """What waits and can be scored with the first; and what was taken and cannot, or tells the end, if so."""
        turn, rows = [first], first.rows
        while not self._queue.empty():  # nobody else takes from it
            other = self._queue.get()
            if other is None or other.model is not first.model or rows + other.rows > MOST_ROWS:
                return turn, [other]
            turn.append(other)
            rows += other.rows
        return turn, []


def _score(turn: Sequence[_Waiting]) -> None:
    """Answer requests of one model."""
    if not turn:
        return
    try:
        columns = [[*itertools.chain(*parts)] for parts in zip(*(each.columns for each in turn), strict=True)]
        found = turn[0].model.probability(columns)
    except Exception as error:  # whoever waits is told; the next turn goes on
        for each in turn:
            each.answer.set_exception(error)
        return
    start = 0
    for each in turn:
        each.answer.set_result(found[start : start + each.rows])
        start += each.rows
