"""The steps of the day in order, and the state of every day."""

import datetime
import importlib
from collections.abc import Iterable, Mapping
from typing import Literal

from jobs.reading import Reading
from jobs.step import Step
from pnn_gluon.config import Config
from pnn_gluon.errors import PnnError
from pnn_gluon.store.makers import MAKERS
from pnn_gluon.store.store import Store

DAILY = (
    "ingest",
    "sample",
    "count",
    "feature_map",
    "encode",
    "evaluate",
    "train",
    "calibrate",
    "gate",
    "promote",
    "score",
    "publish",
)
NIGHTLY = ("mature", "reevaluate", "recalibrate")

State = Literal["done", "stale", "missing", "failed"]


def step(name: str) -> Step:
    """A step by name."""
    found: Step = importlib.import_module(f"jobs.{name}").STEP
    return found


def day_states(config: Config, days: Iterable[datetime.date]) -> dict[datetime.date, dict[str, State]]:
    """The state of every daily step on each of these days.

    A step is done when the day in force was made from what is there now; stale when an input, the configuration or
    anything upstream changed since; failed when its last run ended in an error; missing when it was never made. Raw
    files are compared by name and size.
    """
    store = Store.of(config)
    states: dict[tuple[str, datetime.date], State] = {}
    return {day: {name: _state(config, store, name, day, states) for name in DAILY} for day in days}


def _state(
    config: Config, store: Store, name: str, day: datetime.date, known: dict[tuple[str, datetime.date], State]
) -> State:
    if (name, day) not in known:
        known[name, day] = _find_state(config, store, name, day, known)
    return known[name, day]


def _find_state(
    config: Config, store: Store, name: str, day: datetime.date, known: dict[tuple[str, datetime.date], State]
) -> State:
    this = step(name)
    if store.failure(this.table, day) is not None:
        return "failed"
    manifest = store.manifest(this.table, day)
    if manifest is None:
        return "missing"
    reading = Reading(config, store, day, peek=True)
    try:
        this.reads(reading)
    except PnnError:
        return "stale"
    if not this.fresh(reading, manifest):
        return "stale"
    upstream = [_state(config, store, maker, made, known) for maker, made in _daily_inputs(reading.inputs)]
    return "done" if all(state == "done" for state in upstream) else "stale"


def _daily_inputs(inputs: Mapping[str, str | None]) -> list[tuple[str, datetime.date]]:
    found = []
    for key, run in inputs.items():
        table, _, day = key.partition("/")
        if run is not None and MAKERS.get(table) in DAILY:
            found.append((MAKERS[table], datetime.date.fromisoformat(day)))
    return found
