"""The tables of the documents that follow from what is declared: `python -m jobs.document` writes them anew."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pnn_gluon.models.declared import declared_models
from pnn_gluon.models.option import Form
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pipeline.steps import EXPORT, STEPS

DOCS = Path(__file__).parents[1] / "docs"


def steps_table() -> str:
    """What every step reads and does, and the options it depends on."""
    rows = [
        (step.name, step.schedule, step.reads, step.does.removesuffix("."), _options(step))
        for step in STEPS
        if not step.by_hand
    ]
    return _table(("step", "runs", "reads", "does", "depends on"), rows)


def tables_table() -> str:
    """Who makes every table, and what is in it."""
    rows = [(f"`{step.table.name}`", _maker(step), step.table.holds) for step in (*STEPS, EXPORT)]
    return _table(
        ("table", "made by", "holds"), [(name.replace("exports_", "exports_<name>"), *rest) for name, *rest in rows]
    )


def options_table() -> str:
    """Every option of the models: what it takes, its default, and the models that have it."""
    rows: dict[tuple[str, str], dict[str, list[str]]] = {}
    for model, declared in declared_models().items():
        for name, option in declared.options.items():
            takes = (f"`{name}`", _words(option.form))
            rows.setdefault(takes, {}).setdefault(_value(option.default), []).append(model)
    lines = [
        (*takes, default, ", ".join(models)) for takes, defaults in rows.items() for default, models in defaults.items()
    ]
    return _table(("option", "takes", "default", "models"), lines)


def _words(form: Form) -> str:
    """A type in words."""
    if "choices" in form:
        return ", ".join(f"`{choice}`" for choice in form["choices"])
    if "list" in form:
        return f"list of {_words(form['list'])}"
    if "each" in form:
        return " and ".join(_words(each) for each in form["each"])
    limits = [words.format(form[key]) for key, words in _LIMITS.items() if key in form]
    return " ".join([_KINDS[form["type"]], ", ".join(limits)]).strip()


def _value(value: object) -> str:
    """A default in words."""
    if isinstance(value, tuple):
        return ", ".join(map(_value, value)) or "none"
    return "none" if value in (None, "") else str(value)


_KINDS = {"bool": "true or false", "int": "integer", "float": "number", "str": "text", "field": "name of a field"}
_LIMITS = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}"}

PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "models.md": {"options": options_table},
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
