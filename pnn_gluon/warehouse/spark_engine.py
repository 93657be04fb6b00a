"""Part functions inside Spark's tasks: Spark distributes and repeats them, and knows nothing of what they do.

Every attempt of a part writes into a folder of its own and moves its files to their names when they are whole. Two
attempts write the same bytes, so whichever moves last changes nothing.
"""

import os
import secrets
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from pnn_gluon.config import EngineConfig
from pnn_gluon.errors import PnnError
from pnn_gluon.warehouse.part import P

R = TypeVar("R")

_ATTEMPT = ".attempt-"
_HERE = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.pyspark.python": sys.executable,
    "spark.executorEnv.PYTHONPATH": os.pathsep.join(sys.path),
}
"""For a master on this machine."""
_QUIET = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}

_SESSIONS: dict[tuple[object, ...], SparkSession] = {}
"""The session by its master and options."""


def map_on_spark(engine: EngineConfig, function: Callable[[EngineConfig, P], R], parts: Sequence[P]) -> list[R]:
    """What a part function makes of every part, a task each, in the order of the parts.

    Raises:
        PnnError: the first error of a part, which is not tried again, or Spark's when it gave up.
    """
    limits = EngineConfig(threads=1, memory_limit=engine.memory_limit)
    work = [(function, limits, part) for part in parts]
    context = _session(engine).sparkContext
    try:
        results: list[R | PnnError] = context.parallelize(work, len(work)).map(_attempted).collect()
    except Exception as error:  # of the bridge to Java, which has no class in common
        raise PnnError(f"Spark at {engine.spark_master} gave up: {_first_line(error)}") from error
    finally:
        for folder in {part.folder for part in parts}:
            for left in folder.glob(f"{_ATTEMPT}*"):
                shutil.rmtree(left, ignore_errors=True)
    for result in results:
        if isinstance(result, PnnError):
            raise result
    return [result for result in results if not isinstance(result, PnnError)]


def _attempted(work: tuple[Callable[[EngineConfig, P], R], EngineConfig, P]) -> R | PnnError:
    """One attempt at a part, whose own error is an answer: to try it again would give the same."""
    function, limits, part = work
    scratch = part.folder / f"{_ATTEMPT}{secrets.token_hex(8)}"
    scratch.mkdir()
    try:
        result = function(limits, part.within(scratch))
        for path in scratch.iterdir():
            path.replace(part.folder / path.name)
    except PnnError as error:
        return error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return result


def end_sessions() -> None:
    """End the session of this process, if it has one."""
    while _SESSIONS:
        _SESSIONS.popitem()[1].stop()


def _session(engine: EngineConfig) -> SparkSession:
    """The session of this process, which is one at most; it starts within some ten seconds."""
    master, options = engine.spark_master, dict(engine.spark_options)
    wanted = (master, *options.items())
    if wanted in _SESSIONS:
        return _SESSIONS[wanted]
    end_sessions()
    builder: Any = SparkSession.builder
    here = _HERE if master.startswith("local") else {}
    try:
        made = _configured(builder.appName("pnn_gluon").master(master), {**_QUIET, **here, **options})
    except (PySparkException, OSError) as error:
        raise PnnError(
            f"Spark at {master} does not start: {_first_line(error)}; it needs Java 17 or later (JAVA_HOME), and a "
            "master that engine.spark_master names"
        ) from error
    return _SESSIONS.setdefault(wanted, made)


def _configured(builder: Any, options: dict[str, str]) -> SparkSession:
    for name, value in options.items():
        builder = builder.config(name, value)
    session: SparkSession = builder.getOrCreate()
    return session


def _first_line(error: Exception) -> str:
    said = [line for line in str(error).splitlines() if line.strip()]
    causes = [line.strip() for line in said if "Caused by" in line or "Error:" in line]
    return (causes or said or [type(error).__name__])[0]
