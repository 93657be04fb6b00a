"""Asks the process that reads a store; no thread of the server waits for it, and no more than two run at a time."""

import asyncio
import datetime
import json
import sys
from pathlib import Path
from typing import Any, TypeAlias

AT_ONCE = 2
WAITING = 30
TIME_LIMIT = 120.0

Question: TypeAlias = tuple[str, ...]


class NoAnswerError(Exception):
    """There is no answer, for a reason that the asker may read; `status` is that of the response."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Reader:
    """Answers of `jobs.airflow.plugin.reading`; equal questions at the same time are asked once."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(AT_ONCE)
        self._asked: dict[Question, asyncio.Task[dict[str, Any]]] = {}

    async def ask(self, what: str, config: Path, today: datetime.date, **options: object) -> dict[str, Any]:
        """What the process says.

        Args:
            what: "days", "report" or "made".
            config: The pipeline's file.
            today: The day that it is.
            options: The others of `jobs.airflow.plugin.reading`; None leaves one out.

        Raises:
            NoAnswerError: with its error; or it took too long, or too many wait already.
        """
        given = {name: value for name, value in options.items() if value is not None}
        question = (what, str(config), str(today), *(f"--{name}={value}" for name, value in given.items()))
        task = self._asked.get(question)
        if task is None:
            if len(self._asked) >= WAITING:
                raise NoAnswerError("too many ask at the moment: try again in a minute", 503)
            task = self._asked[question] = asyncio.create_task(self._read(question))
            task.add_done_callback(lambda _: self._asked.pop(question))
        return await asyncio.shield(task)

    async def _read(self, question: Question) -> dict[str, Any]:
        async with self._room:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "jobs.airflow.plugin.reading", *question),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                said, errors = await asyncio.wait_for(process.communicate(), TIME_LIMIT)
            except TimeoutError as error:
                raise NoAnswerError(f"reading the store took longer than {TIME_LIMIT:.0f} s", 504) from error
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode:
            raise NoAnswerError(
                errors.decode(errors="replace").strip()[-2000:], 500 if process.returncode == 1 else 409
            )
        answer: dict[str, Any] = json.loads(said)
        return answer
