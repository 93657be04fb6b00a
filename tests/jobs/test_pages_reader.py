"""Questions about a store: equal ones are asked once, few at a time, and none for ever."""

import asyncio
import datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.airflow.plugin import reader
from jobs.airflow.plugin.reader import NoAnswerError, Reader

TODAY = datetime.date(2026, 11, 6)


class Counted(Reader):
    """Answers by itself, and knows how many were at work at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, ...]] = []

    async def _read(self, question: tuple[str, ...]) -> dict[str, Any]:
        self.asked.append(question)
        await asyncio.sleep(0.01)
        return {"question": question}


async def ask(of: Reader, **options: Any) -> dict[str, Any]:
    return await of.ask("days", Path("a.toml"), TODAY, **options)


def test_equal_questions_at_the_same_time_are_asked_once_and_later_ones_again() -> None:
    counted = Counted()

    async def three() -> None:
        answers = await asyncio.gather(*(ask(counted, first=TODAY, last=None) for _ in range(3)))
        assert answers == [{"question": ("days", "a.toml", "2026-11-06", "--first=2026-11-06")}] * 3
        await ask(counted, first=TODAY)

    asyncio.run(three())
    assert len(counted.asked) == 2


def test_whoever_leaves_takes_no_answer_from_the_others() -> None:
    async def two() -> dict[str, Any]:
        counted = Counted()
        leaves, stays = (asyncio.create_task(ask(counted)) for _ in range(2))
        await asyncio.sleep(0)
        leaves.cancel()
        return await stays

    assert asyncio.run(two())["question"][0] == "days"


def test_too_many_questions_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "WAITING", 3)

    async def four() -> list[Any]:
        counted = Counted()
        days = [TODAY + datetime.timedelta(n) for n in range(4)]
        return await asyncio.gather(*(ask(counted, first=day) for day in days), return_exceptions=True)

    *answers, refused = asyncio.run(four())
    assert all(isinstance(answer, dict) for answer in answers)
    assert isinstance(refused, NoAnswerError)
    assert refused.status == 503


def test_a_process_that_takes_too_long_is_ended_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "TIME_LIMIT", 0.05)
    with pytest.raises(NoAnswerError, match="took longer than") as raised:
        asyncio.run(ask(Reader()))
    assert raised.value.status == 504


def test_the_error_of_the_process_is_handed_on() -> None:
    with pytest.raises(NoAnswerError, match=r"a\.toml") as raised:
        asyncio.run(ask(Reader()))
    assert raised.value.status == 409
