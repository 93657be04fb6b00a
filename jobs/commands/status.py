"""What stands in the store: days by steps, and why something does not."""

import datetime
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from jobs.command import ConfigOption
from jobs.day_decision import DayDecision, day_decision
from jobs.day_overview import told
from jobs.terminal import console
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import parse_day, parse_days
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.states import State, day_states
from pnn_gluon.pipeline.steps import daily_steps, nightly_steps, step
from pnn_gluon.pipeline.tables import CHAMPIONS, CHECKS, GATES, MAPS, SCORES
from pnn_gluon.secrets_masking import masked
from pnn_gluon.store.store import Store

MARKS = {
    "done": "[green]done[/]",
    "kept": "[yellow]kept[/]",
    "stale": "[yellow]stale[/]",
    "missing": "[dim]–[/]",
    "failed": "[red]failed[/]",
    "damaged": "[red]damaged[/]",
}
REFUSED = "[yellow]refused[/]"
WARNS = "[yellow]warns[/]"
FALLBACK = "[yellow]fallback[/]"


def command(
    config: ConfigOption,
    day: Annotated[str | None, typer.Option("--day", help="One day or first..last, YYYY-MM-DD.")] = None,
    why: Annotated[
        tuple[str, str] | None,
        typer.Option(help="A day and a step: why it stands as it does.", metavar="DAY STEP"),
    ] = None,
) -> None:
    """Days by steps: done, stale, missing or failed, and which model is in force."""
    if (day is None) == (why is None):
        raise ConfigError("say either --day, one day or first..last, or --why with a day and a step")
    options = load_config(config)
    if why is not None:
        print_why(options, parse_day(why[0]), why[1])
    if day is not None:
        print_status(options, parse_days(day))


def print_why(config: Config, day: datetime.date, name: str) -> None:
    """Print how one step of a day stands, and every reason for it."""
    states, out = day_states(config, [day])[day], console()
    state = states.get(step(name).name)
    if state is None:
        raise ConfigError(
            f"--why {day} {name}: a step by hand, which has no state then; these have one: {', '.join(states)}"
        )
    out.print(f"{name} {day}: {state.word}")
    for reason in state.reasons:
        out.print(f"  {masked(reason)}", markup=False, soft_wrap=True)


def print_status(config: Config, days: Sequence[datetime.date]) -> None:
    """Print the state of every step on every day, the model in force, and why: refusals, kept days, failures."""
    states, store, out = day_states(config, days), open_store(config), console()
    names = [step.name for step in (*daily_steps(config), *nightly_steps(config))]
    refusals = {day: _refusals(store, day) for day in days}
    warnings = {day: _warnings(store, day) for day in days}
    fallbacks = {day: _fallback(store, day) for day in days}
    decisions = {day: _decision(store, day) for day in days}
    table = Table("day", *names, "model in force")
    for day, steps in states.items():
        marks = {name: MARKS[steps[name].word] for name in names}
        for name, reasons in refusals[day].items():
            if reasons and steps[name].word == "done":
                marks[name] = REFUSED
        for name, said in warnings[day].items():
            if said and not refusals[day].get(name) and steps[name].word == "done":
                marks[name] = WARNS
        if fallbacks[day] and steps["score"].word == "done":
            marks["score"] = FALLBACK
        table.add_row(str(day), *marks.values(), _model_in_force(store, day) or "–")
    out.print(table)
    for day, steps in states.items():
        for name, reasons in refusals[day].items():
            for reason in reasons:
                out.print(f"{name} {day} refused: {reason}", markup=False, soft_wrap=True)
        for name, said in warnings[day].items():
            for warning in said:
                out.print(f"{name} {day} warns: {warning}", markup=False, soft_wrap=True)
        if decisions[day].told:
            out.print(f"promote {day}: {decisions[day].told}", markup=False, soft_wrap=True)
        if fallbacks[day]:
            out.print(f"score {day} fallback: {fallbacks[day]}", markup=False, soft_wrap=True)
        for name, state in steps.items():
            for line in _explained(name, day, state):
                out.print(line, markup=False, soft_wrap=True)


def _explained(name: str, day: datetime.date, state: State) -> list[str]:
    """Lines on what is not done; of a stale step only what is not another step's fault."""
    reasons = [masked(reason) for reason in state.reasons]  # earlier releases kept failures as they were
    if state.word == "failed":
        return [f"{name} {day}: {reason}" for reason in reasons]
    own = [reason for reason in reasons if not reason.startswith("upstream:")]
    return [f"{name} {day} {state.word}: {reason}" for reason in own]


def _refusals(store: Store, day: datetime.date) -> dict[str, Sequence[str]]:
    """By step that may refuse a day, why it did."""
    check, gate = told(store, CHECKS, day), told(store, GATES, day)
    return {
        "check": () if check is None else check.details.reasons,
        "gate": () if gate is None else gate.details.reasons,
    }


def _warnings(store: Store, day: datetime.date) -> dict[str, Sequence[str]]:
    """By step that may warn: what of the day's data is not as it was, or of the map, and stops nothing."""
    check, grown = told(store, CHECKS, day), told(store, MAPS, day)
    return {
        "check": [] if check is None else check.details.warnings,
        "feature_map": () if grown is None else grown.details.notes or (),
    }


def _fallback(store: Store, day: datetime.date) -> str | None:
    """Why the scores are those of an older model; None if they are not."""
    scores = told(store, SCORES, day)
    if scores is None or not scores.details.fallback:
        return None
    return f"by the model of {scores.details.model_day}: {scores.details.why}"


def _decision(store: Store, day: datetime.date) -> DayDecision:
    return day_decision(told(store, GATES, day), told(store, CHAMPIONS, day))


def _model_in_force(store: Store, day: datetime.date) -> str | None:
    champion = told(store, CHAMPIONS, day)
    return None if champion is None else champion.details.pointer.model_day
