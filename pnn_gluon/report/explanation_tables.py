"""What a model has learned, as tables for the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pnn_gluon.report.day_report import interval_text, metric_text
from pnn_gluon.report.strongest_pairs import strongest_pairs

if TYPE_CHECKING:
    from rich.table import Table

SHOWN_EPOCHS = 15
"""Of a learning curve; of more, such as those of trees, some at equal distances."""


def explanation_tables(explanation: Mapping[str, Any]) -> "list[Table]":
    """Importance, strongest pairs, layers and learning curve, as far as they are known; no text is markup."""
    return [
        table
        for table in (
            _table("Importance of fields", _IMPORTANCE, map(_importance, explanation["importance"])),
            _table("Strongest pairs", _PAIRS, map(_pair, strongest_pairs(explanation["pairs"]))),
            _table("Layers", _LAYERS, map(_layer, explanation["layers"])),
            _table("Learning curve", _EPOCHS, map(_epoch, _some(explanation["history"]))),
        )
        if table.row_count
    ]


def explanation_words(explanation: Mapping[str, Any]) -> list[str]:
    """What was looked at, and what there is nothing of, with the reason."""
    said = [f"{explanation['model']}, the model of {explanation['model_day']}"]
    if explanation["rows"]:
        said.append(f"by {explanation['rows']:,} of {explanation['rows_available']:,} labelled rows, chosen by a hash")
    if explanation.get("impressions") is not None:
        said.append(f"the rows stand for {explanation['impressions']:,} impressions, which all numbers count")
    if explanation["pairs"] is not None:
        said.append(f"pairs of fields: {explanation['pairs']['kind']}")
    missing = (("importance of fields", "importance"), ("pairs of fields", "pairs"), ("layers", "layers"))
    reasons = [(what, explanation[f"{key}_missing"]) for what, key in missing]
    return said + [f"no {what}: {reason}" for what, reason in reasons if reason]


_IMPORTANCE = ("Field", "Rise of the log loss", "95 % interval", "Fall of the AUC")
_PAIRS = ("Fields", "Strength", "Spread over rows")
_LAYERS = ("Layer", "Parameters", "Norm", "Norm of the gradient", "Mean absolute gradient")
_EPOCHS = ("Epoch, or tree", "Training", "Validation")


def _table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _importance(each: Mapping[str, Any]) -> list[str]:
    return [
        str(each["field"]),
        metric_text(each["log_loss"], ".5f"),
        interval_text(each, ".5f"),
        metric_text(each["auc"], ".4f"),
    ]


def _pair(each: Mapping[str, Any]) -> list[str]:
    return [", ".join(each["fields"]), *(metric_text(each[key], ".4g") for key in ("strength", "spread"))]


def _layer(each: Mapping[str, Any]) -> list[str]:
    numbers = (each[key] for key in ("parameter_norm", "gradient_norm", "mean_gradient"))
    return [str(each["layer"]), f"{each['parameters']:,}", *(metric_text(number, ".4g") for number in numbers)]


def _epoch(record: Mapping[str, Any]) -> list[str]:
    return [str(record["epoch"] + 1), *(metric_text(record.get(key), ".5f") for key in ("loss", "validation"))]


def _some(history: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """At most so many records, the last one among them."""
    step = -(-len(history) // SHOWN_EPOCHS) or 1
    return list(history[::-1][::step][::-1])
