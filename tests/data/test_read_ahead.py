"""Items made ahead in a thread: all of them, in order, never many at once, errors included."""

import threading
import time
from collections.abc import Generator

import pytest

from pnn_gluon.data.read_ahead import read_ahead


class Source:
    """Counts what it has made and knows where it ran and whether it was closed."""

    def __init__(self, items: int, fails: bool = False) -> None:
        self.items, self.fails = items, fails
        self.made, self.closed, self.thread = 0, False, 0

    def __call__(self) -> Generator[int, None, None]:
        self.thread = threading.get_ident()
        try:
            for number in range(self.items):
                self.made += 1
                yield number
            if self.fails:
                raise ValueError("no more rows")
        finally:
            self.closed = True


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "reading"]


@pytest.mark.parametrize("ahead", [1, 3])
@pytest.mark.parametrize("items", [0, 1, 50])
def test_all_items_come_in_order_from_another_thread(items: int, ahead: int) -> None:
    source = Source(items)
    assert list(read_ahead(source(), "reading", ahead)) == list(range(items))
    assert source.closed
    assert source.thread != threading.get_ident()
    assert not reading_threads()


@pytest.mark.parametrize("ahead", [1, 3])
def test_no_more_is_made_than_one_item_beyond_those_that_may_wait(ahead: int) -> None:
    source = Source(1000)
    reading = read_ahead(source(), "reading", ahead)
    for used in range(1, 6):
        next(reading)
        most = used + ahead + 1
        while source.made < most:
            time.sleep(0.001)
        time.sleep(0.01)
        assert source.made == most
    reading.close()
    assert source.made == most


def test_an_error_comes_after_the_items_before_it() -> None:
    reading = read_ahead(Source(4, fails=True)(), "reading")
    assert [next(reading) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="no more rows"):
        next(reading)
    assert not reading_threads()


def test_closing_early_ends_the_thread_and_closes_the_source() -> None:
    source = Source(1000)
    reading = read_ahead(source(), "reading")
    assert next(reading) == 0
    assert len(reading_threads()) == 1
    reading.close()
    assert source.closed
    assert not reading_threads()


def test_nothing_is_made_before_the_first_item_is_asked_for() -> None:
    source = Source(3)
    reading = read_ahead(source(), "reading")
    assert not reading_threads()
    reading.close()
    assert source.made == 0
