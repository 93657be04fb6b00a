"""Part functions over the parts of a day, by the engine of the configuration.

A part function is a pure function from a part to its files and a small result: the same bytes wherever, in whichever
order and however often it runs. The merges, which see all parts, are not here: they run in one place.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pnn_gluon.config import EngineConfig
from pnn_gluon.warehouse.local_workers import map_locally
from pnn_gluon.warehouse.part import P

R = TypeVar("R")


def map_parts(
    engine: EngineConfig, function: Callable[[EngineConfig, P], R], parts: Sequence[P], worth: int = 1
) -> list[R]:
    """What a part function makes of every part, in the order of the parts.

    Args:
        engine: What runs it, and the limits of all parts together (on Spark: of each).
        function: Importable by its name; it gets the limits that it may use, and a part.
        parts: What it is called with.
        worth: So many parts are worth the start of a process on this machine.

    Raises:
        PnnError: a process was ended from outside, or the engine is not there.
    """
    if engine.kind == "spark" and parts:
        from pnn_gluon.warehouse.spark_engine import map_on_spark

        return map_on_spark(engine, function, parts)
    return map_locally(engine, function, parts, worth)
