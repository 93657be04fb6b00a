"""Days by steps for a page: states and reasons, decisions, the model in force, and how fresh the scores are."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.day_decision import DayDecision, day_decision
from pnn_gluon.config import Config
from pnn_gluon.days import day_range, plus
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline.details import ChampionDetails
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import Partition, open_partition
from pnn_gluon.pipeline.states import State, day_states
from pnn_gluon.pipeline.steps import daily_steps, nightly_steps
from pnn_gluon.pipeline.tables import CHAMPIONS, CHECKS, GATES, MAPS, PUBLISHED, SCORES, D, Table
from pnn_gluon.secrets_masking import masked
from pnn_gluon.store.store import Store

SHOWN_DAYS = 14
"""How many days are shown when no range was asked for."""

MOST_DAYS = 92
"""How many days may be asked for."""

UNWELL = {"stale", "missing", "failed", "damaged"}
"""Words for what a run of the day would make, or make again."""


def shown_days(
    config: Config,
    first: datetime.date | None,
    last: datetime.date | None,
    today: datetime.date,
    run: datetime.date | None = None,
) -> list[datetime.date]:
    """The days to show: those asked for, as far as they are days of the pipeline that are over.

    Args:
        config: The pipeline.
        first: The first one; None for two weeks in all.
        last: The last one; None for the newest of which there is anything, or, where nothing was ever made, for the
            first two weeks of the pipeline.
        today: The day that is not over.
        run: The newest day that was run, whether or not that made anything.

    Raises:
        ConfigError: the first day asked for is after the last, or there are more than `MOST_DAYS`.
    """
    if first and last and first > last:
        raise ConfigError(f"{first} to {last}: the first day is after the last; ask for them the other way round")
    newest = min(plus(today, -1), config.last_day or datetime.date.max)
    if last is None:
        made = _made(config) | ({run} if run else set())
        last = max(made) if made else plus(config.first_day, SHOWN_DAYS - 1)
        last = min(last, plus(first, MOST_DAYS - 1)) if first else last
    last = min(last, newest)
    first = max(config.first_day, first or plus(last, 1 - SHOWN_DAYS))
    days = day_range(first, last)
    if len(days) > MOST_DAYS:
        raise ConfigError(f"{first} to {last} are {len(days)} days, expected at most {MOST_DAYS}: ask for fewer")
    return days


def _made(config: Config) -> set[datetime.date]:
    """The days of which a daily step made anything."""
    store = open_store(config)
    return {day for step in daily_steps(config) for day in store.days(step.table.name)}


def overview(config: Config, days: Sequence[datetime.date], today: datetime.date) -> dict[str, Any]:
    """What the page shows of these days, as JSON has it.

    Args:
        config: The pipeline.
        days: Days in order, none for an empty table.
        today: The day from which the age of the scores counts.
    """
    store = open_store(config)
    older = _older(config, days)
    states = day_states(config, [*older, *days]) if days else {}
    daily, nightly = ([step.name for step in steps(config)] for steps in (daily_steps, nightly_steps))
    return {
        "name": config.name,
        "first_day": str(config.first_day),
        "daily": daily,
        "nightly": nightly,
        "days": [_day(store, day, states[day], daily) for day in days],
        "older": [str(day) for day in older if _unwell(states[day], daily)],
        "scores": _newest_scores(store, today),
    }


def _day(store: Store, day: datetime.date, states: Mapping[str, State], daily: Sequence[str]) -> dict[str, Any]:
    check, gate, champion = told(store, CHECKS, day), told(store, GATES, day), told(store, CHAMPIONS, day)
    steps = {name: _shown(state) for name, state in states.items()}
    for name, refusing in {"check": check, "gate": gate}.items():
        if refusing is not None and refusing.details.refused and steps[name]["word"] == "done":
            steps[name] = {"word": "refused", "reasons": list(refusing.details.reasons)}
    if check is not None and check.details.warnings and steps["check"]["word"] == "done":
        steps["check"] = {"word": "warns", "reasons": check.details.warnings}
    grown = told(store, MAPS, day)
    if grown is not None and grown.details.notes and steps["feature_map"]["word"] == "done":
        steps["feature_map"] = {"word": "warns", "reasons": list(grown.details.notes)}
    scores = told(store, SCORES, day)
    if scores is not None and scores.details.fallback and steps["score"]["word"] == "done":
        steps["score"] = {"word": "fallback", "reasons": [masked(str(scores.details.why))]}
    return {
        "day": str(day),
        "steps": steps,
        "unwell": _unwell(states, daily),
        "champion": None if champion is None else _model(champion.details, day_decision(gate, champion)),
        "served": None if scores is None else {"state": scores.details.state, "model_day": scores.details.model_day},
    }


def _unwell(states: Mapping[str, State], daily: Sequence[str]) -> bool:
    """Whether a run of the day would make anything."""
    return any(states[name].word in UNWELL for name in daily)


def _older(config: Config, days: Sequence[datetime.date]) -> list[datetime.date]:
    """The days before those shown, from the oldest that anything was made of; what is wrong there goes on here."""
    made = _made(config)
    return day_range(max(min(made), config.first_day), plus(days[0], -1)) if made and days else []


def _shown(state: State) -> dict[str, Any]:
    return {"word": state.word, "reasons": [masked(reason) for reason in state.reasons]}


def _model(details: ChampionDetails, decision: DayDecision) -> dict[str, Any]:
    """The model in force, why it is this one, and what a person had to do with it."""
    told = {"word": decision.word, "told": decision.told} if decision.told else {"word": "", "told": ""}
    return {
        "model_day": details.pointer.model_day,
        "decision": details.decision,
        "reason": masked(details.reason),
        "by": details.by,
        "at": details.at,
        **told,
    }


def _newest_scores(store: Store, today: datetime.date) -> dict[str, Any] | None:
    """The newest day whose scores were published; None if there is none. `behind` counts days up to today."""
    for day in reversed(store.days(PUBLISHED.name)):
        published = told(store, PUBLISHED, day)
        if published is not None:
            details = published.details
            behind = (today - datetime.date.fromisoformat(details.score_day)).days
            return {
                "score_day": details.score_day,
                "state": details.state,
                "sequence": details.sequence,
                "model_day": details.model_day,
                "behind": behind,
            }
    return None


def told(store: Store, table: Table[D], day: datetime.date) -> Partition[D] | None:
    """A day that was made and tells all of its details; the state of one that does not says what to do."""
    try:
        partition = open_partition(store, table, day)
        told = partition is not None and partition.kept is None and partition.details is not None
    except InputError:
        return None
    return partition if told else None
