"""What stands in the store: days by steps."""

import datetime
from collections.abc import Sequence

from rich.table import Table

from jobs.pipeline import DAILY, day_states, step
from jobs.terminal import console
from pnn_gluon.config import Config
from pnn_gluon.store.store import Store

MARKS = {"done": "[green]done[/]", "stale": "[yellow]stale[/]", "missing": "[dim]–[/]", "failed": "[red]failed[/]"}


def print_status(config: Config, days: Sequence[datetime.date]) -> None:
    """Print the state of every step on every day, the model in force, why gates refused, the errors of failed steps."""
    states, store = day_states(config, days), Store.of(config)
    gates = {day: store.manifest("gates", day) for day in days}
    reasons = {day: gate.details["reasons"] if gate else () for day, gate in gates.items()}
    table = Table("day", *DAILY, "model in force")
    for day, steps in states.items():
        champion = store.manifest("champions", day)
        model_day = champion.details["model_day"] if champion else None
        marks = {name: MARKS[steps[name]] for name in DAILY}
        if reasons[day] and steps["gate"] == "done":
            marks["gate"] = "[yellow]refused[/]"
        table.add_row(str(day), *marks.values(), model_day or "–")
    out = console()
    out.print(table)
    for day, steps in states.items():
        for reason in reasons[day]:
            out.print(f"gate {day} refused: {reason}", markup=False, soft_wrap=True)
        for name in (name for name in DAILY if steps[name] == "failed"):
            out.print(f"{name} {day}: {store.failure(step(name).table, day)}", markup=False)
