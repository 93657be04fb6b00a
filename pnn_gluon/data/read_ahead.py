"""An iterator's items made in a thread of their own, while the ones before them are in use."""

import queue
import threading
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class _End:
    """The last thing a thread says: how the iterator ended."""

    error: BaseException | None = None


class _Reader(Generic[Item]):
    """A thread that runs a generator."""

    def __init__(self, source: Generator[Item, None, None], name: str, ahead: int) -> None:
        self.ready: queue.Queue[Item | _End] = queue.Queue(maxsize=ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(source,), name=name, daemon=True)
        self._thread.start()

    def _run(self, source: Generator[Item, None, None]) -> None:
        end = _End()
        try:
            with closing(source):
                for item in source:
                    if not self._put(item):
                        break
        except BaseException as error:  # noqa: BLE001 - raised again where the items are used
            end = _End(error)
        self._put(end)

    def _put(self, item: Item | _End) -> bool:
        """Hand something over when there is room; whether it still was wanted."""
        while not self._stop.is_set():
            with suppress(queue.Full):
                self.ready.put(item, timeout=_POLL_SECONDS)
                return not self._stop.is_set()
        return False

    def close(self) -> None:
        """Stop the thread and wait until the generator is closed."""
        self._stop.set()
        self._thread.join()


def read_ahead(source: Generator[Item, None, None], name: str, ahead: int = 1) -> Generator[Item, None, None]:
    """The items of a generator, in order, which a thread makes; its errors are raised here.

    The thread starts with the first item asked for. Closing early stops it and waits until it has closed the
    generator.

    Args:
        source: Runs in the thread only, from its first line to its last.
        name: The thread's.
        ahead: Finished items that may wait; one more is being made and one is in use.
    """
    reader = _Reader(source, name, ahead)
    try:
        while not isinstance(item := reader.ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        reader.close()
