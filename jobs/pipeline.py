"""The steps of the day in order, and the state of every day."""

import datetime
import importlib
from collections.abc import Iterable, Mapping
from typing import Literal

from jobs.reading import Reading, kept_reason
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


def daily_steps(config: Config) -> tuple[str, ...]:
    """The steps of a pipeline's day in order: where labels come late, those of a past day are read again first."""
    if not config.calibration.maturity_days:
        return DAILY
    place = DAILY.index("encode")
    return (*DAILY[:place], "mature", *DAILY[place:])


State = Literal["done", "kept", "stale", "missing", "failed"]


def step(name: str) -> Step:
    """A step by name."""
    found: Step = importlib.import_module(f"jobs.steps.{name}").STEP
    return found


def day_states(config: Config, days: Iterable[datetime.date]) -> dict[datetime.date, dict[str, State]]:
    """The state of every daily step on each of these days.

    A step is done when the day in force was made from what is there now, and kept when so it was found that nothing
    could be made; stale when an input, the configuration or anything upstream changed since; failed when its last run
    ended in an error; missing when it was never made. Raw files are compared by name and size.
    """
    store, wanted = Store.of(config), list(days)
    states: dict[tuple[str, datetime.date], State] = {}
    for day in _made_before(config, store, max(wanted)):  # in order, so that no chain of days is walked at once
        for name in daily_steps(config):
            _state(config, store, name, day, states)
    return {day: {name: _state(config, store, name, day, states) for name in daily_steps(config)} for day in wanted}


def _made_before(config: Config, store: Store, day: datetime.date) -> list[datetime.date]:
    """The days of the pipeline before a day of which there is something in the store."""
    made = {made for name in DAILY for made in store.days(step(name).table)}
    return sorted(other for other in made if config.first_day <= other < day)


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
    upstream = [_state(config, store, maker, made, known) for maker, made in _daily_inputs(config, reading.inputs)]
    if any(state not in {"done", "kept"} for state in upstream):
        return "stale"
    return "done" if kept_reason(manifest.details) is None else "kept"


def _daily_inputs(config: Config, inputs: Mapping[str, str | None]) -> list[tuple[str, datetime.date]]:
    found, steps = [], daily_steps(config)
    for key, run in inputs.items():
        table, _, day = key.partition("/")
        if run is not None and MAKERS.get(table) in steps:
            found.append((MAKERS[table], datetime.date.fromisoformat(day)))
    return found
