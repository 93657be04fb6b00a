"""Part functions that Spark's tasks import by their names."""

import dataclasses
import os
import signal
import time
from pathlib import Path
from typing import Self

from pnn_gluon.config import EngineConfig
from pnn_gluon.errors import InputError


@dataclasses.dataclass(frozen=True)
class Number:
    """A number, and the file that it goes to."""

    number: int
    path: Path

    @property
    def folder(self) -> Path:
        return self.path.parent

    def within(self, folder: Path) -> Self:
        return dataclasses.replace(self, path=folder / self.path.name)


def write(engine: EngineConfig, part: Number) -> tuple[int, int, str]:
    part.path.write_text(str(part.number))
    return part.number, engine.threads, engine.memory_limit


def refuse_two(engine: EngineConfig, part: Number) -> int:
    part.path.write_text("half")
    if part.number == 2:
        raise InputError("part 2: not readable; deliver it again")
    return part.number


def die(engine: EngineConfig, part: Number) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return part.number


def write_slowly(engine: EngineConfig, part: Number) -> tuple[int, int]:
    """Say who is at work, and where; then take some time over it."""
    part.path.write_text("half")
    (part.path.parents[1] / f"at-{part.number}-{os.getpid()}").touch()
    time.sleep(3)
    part.path.write_text(str(part.number))
    return part.number, os.getpid()
