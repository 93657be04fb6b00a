"""What a search gave: the best trial as one JSON object, and all trials as a table for people."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pnn_gluon.errors import PnnError
from pnn_gluon.experiments.trials import Journal, shown_options

if TYPE_CHECKING:
    from rich.table import Table

_STYLES = {"pruned": "dim", "failed": "red"}


def summarize_trials(journal: Journal) -> dict[str, Any]:
    """The best trial and how many there are of each state, fit for JSON; `toml` is text for the configuration.

    Raises:
        PnnError: no trial is complete.
    """
    best, states = journal.best(), Counter(trial.state for trial in journal.trials)
    if best is None:
        reasons = "; ".join(sorted({str(trial.reason) for trial in journal.trials}))
        raise PnnError(f"{journal.path}: none of {len(journal.trials)} trials is complete: {reasons}")
    return {
        "model": journal.search["model"],
        "metric": journal.search["metric"],
        "value": best.value,
        "trial": best.number,
        "options": best.options,
        "toml": toml(journal.search["model"], best.options),
        "trials": len(journal.trials),
        "complete": states["complete"],
        "pruned": states["pruned"],
        "failed": states["failed"],
        "journal": str(journal.path),
    }


def toml(model: str, options: Mapping[str, Any]) -> str:
    """Options `table.key` as the tables of a model: what JSON writes of numbers, words, truths and lists is TOML."""
    lines = []
    for table in ("model", "training"):
        own = [(key.partition(".")[2], value) for key, value in options.items() if key.startswith(f"{table}.")]
        lines += [f"[models.{model}.{table}]"] * bool(own) + [f"{key} = {json.dumps(value)}" for key, value in own]
    return "\n".join(lines) + "\n"


def render_trials(journal: Journal) -> "Table":
    """Number, state, value, options and seconds of each trial, and why there is no value; the best one is bold.

    Text is never read as markup.
    """
    from rich.table import Table
    from rich.text import Text

    table, best = Table(), journal.best()
    for heading in ("Trial", "State"):
        table.add_column(heading, no_wrap=True)
    table.add_column(str(journal.search.get("metric", "value")), justify="right", no_wrap=True)
    table.add_column("Options")
    table.add_column("Seconds", justify="right", no_wrap=True)
    for trial in journal.trials:
        value = "–" if trial.value is None else f"{trial.value:.5f}"
        about = Text("\n").join(map(Text, filter(None, (shown_options(trial.options), trial.reason))))
        state = Text(trial.state, style=_STYLES.get(trial.state, ""))
        row = (Text(str(trial.number)), state, Text(value), about, Text(f"{trial.seconds:.1f}"))
        table.add_row(*row, style="bold" if trial is best else "")
    return table
