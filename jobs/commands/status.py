"""What stands in the store: days by steps."""

import datetime
from collections.abc import Sequence

from rich.table import Table

from jobs.command import ConfigOption, DaysOption
from jobs.pipeline import daily_steps, day_states, step
from jobs.reading import kept_reason
from jobs.terminal import console
from pnn_gluon.config import Config, load_config
from pnn_gluon.days import parse_days
from pnn_gluon.secrets_masking import masked
from pnn_gluon.store.store import Store

MARKS = {
    "done": "[green]done[/]",
    "kept": "[yellow]kept[/]",
    "stale": "[yellow]stale[/]",
    "missing": "[dim]–[/]",
    "failed": "[red]failed[/]",
}


def command(config: ConfigOption, day: DaysOption) -> None:
    """Days by steps: done, stale, missing or failed, and which model is in force."""
    print_status(load_config(config), parse_days(day))


def print_status(config: Config, days: Sequence[datetime.date]) -> None:
    """Print the state of every step on every day, the model in force, and why: refusals, kept days, failures."""
    states, store, names = day_states(config, days), Store.of(config), daily_steps(config)
    gates = {day: store.manifest("gates", day) for day in days}
    reasons = {
        day: gate.details["reasons"] if gate and kept_reason(gate.details) is None else ()
        for day, gate in gates.items()
    }
    table = Table("day", *names, "model in force")
    for day, steps in states.items():
        champion = store.manifest("champions", day)
        model_day = champion.details["model_day"] if champion else None
        marks = {name: MARKS[steps[name]] for name in names}
        if reasons[day] and steps["gate"] == "done":
            marks["gate"] = "[yellow]refused[/]"
        table.add_row(str(day), *marks.values(), model_day or "–")
    out = console()
    out.print(table)
    for day, steps in states.items():
        for reason in reasons[day]:
            out.print(f"gate {day} refused: {reason}", markup=False, soft_wrap=True)
        for name in (name for name in names if steps[name] == "kept"):
            kept_day = store.manifest(step(name).table, day)
            reason = kept_reason(kept_day.details) if kept_day else ""
            out.print(f"{name} {day} kept: {reason}", markup=False, soft_wrap=True)
        for name in (name for name in names if steps[name] == "failed"):
            failure = masked(store.failure(step(name).table, day) or "")  # earlier releases kept it as it was
            out.print(f"{name} {day}: {failure}", markup=False)
