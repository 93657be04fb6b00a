"""The tables of the documents that follow from the declared pipeline: `python -m jobs.document` writes them anew."""

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.steps import EXPORT, STEPS

DOCS = Path(__file__).parents[1] / "docs"


def steps_table() -> str:
    """What every step reads and does, and the options it depends on."""
    rows = [(step.name, step.schedule, _reads(step), _does(step), _options(step)) for step in STEPS if not step.by_hand]
    return _table(("step", "runs", "reads", "does", "depends on"), rows)


def tables_table() -> str:
    """Who makes every table, and what is in it."""
    rows = [(f"`{step.table.name}`", _maker(step), step.table.holds) for step in (*STEPS, EXPORT)]
    return _table(
        ("table", "made by", "holds"), [(name.replace("exports_", "exports_<name>"), *rest) for name, *rest in rows]
    )


PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "operations.md": {"steps": steps_table},
    "store.md": {"tables": tables_table},
}
"""The parts of each document that are derived, by their name in it."""


def derived(name: str) -> str:
    """A document with its derived parts as they should be.

    Raises:
        LookupError: a part is not in the document.
    """
    text = (DOCS / name).read_text(encoding="utf-8")
    for part, make in PARTS[name].items():
        begin, end = f"<!-- {part}, by python -m jobs.document -->\n", f"<!-- end of {part} -->\n"
        found = re.search(re.escape(begin) + ".*?" + re.escape(end), text, re.DOTALL)
        if found is None:
            raise LookupError(f"{name}: no part between {begin.strip()} and {end.strip()}")
        text = text[: found.start()] + begin + make() + end + text[found.end() :]
    return text


def _reads(step: Step) -> str:
    return ", ".join(words for declared in step.inputs if (words := declared.words))


def _does(step: Step) -> str:
    """The first line of what is said of the step's work."""
    said: str = importlib.import_module(f"jobs.steps.{step.name}").build.__doc__
    return said.splitlines()[0].removesuffix(".")


def _options(step: Step) -> str:
    return ", ".join(f"`{path}`" for path in step.options)


def _maker(step: Step) -> str:
    return f"`pnn-gluon {step.name.replace('_', '-')}`" if step.schedule == "by hand" else step.name


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for each in PARTS:
        (DOCS / each).write_text(derived(each), encoding="utf-8")
