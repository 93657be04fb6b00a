"""The options that a step depends on: those alone it sees, and those that differ from the defaults it is known by."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pnn_gluon.config import PATTERNS, Config, patterns_of, placed
from pnn_gluon.models.declared import default_options
from pnn_gluon.section import Section

FREE = frozenset({"name", "path", "store", "store_root", "engine", "resolve"})
"""What every step may look at: where things are and with how much memory, which decides no byte."""


def option(config: Config, path: str) -> Any:
    """The value of an option by its path, such as `training.epochs`, or of a whole section."""
    value: Any = config
    for part in path.split("."):
        value = getattr(value, part)
    return value


class Declared:
    """The configuration as one step sees it.

    Args:
        section: The configuration, or a section of it.
        paths: The sections (`source`) and options (`training.epochs`) that may be looked at.
        step: Who looks.
    """

    def __init__(self, section: Section, paths: frozenset[str], step: str) -> None:
        self._section, self._paths, self._step = section, paths, step

    def __getattr__(self, name: str) -> Any:
        """A section or an option.

        Raises:
            LookupError: the step does not declare it; a change of it would go unseen.
        """
        if name in self._paths or (name in FREE and isinstance(self._section, Config)):
            return getattr(self._section, name)
        inner = frozenset(path.removeprefix(f"{name}.") for path in self._paths if path.startswith(f"{name}."))
        if inner:
            return Declared(getattr(self._section, name), inner, self._step)
        raise LookupError(f"step {self._step} does not declare the option {name}; pipeline/steps.py does")


def declared(config: Config, paths: tuple[str, ...], step: str) -> Config:
    """The configuration with these sections and options only."""
    return cast("Config", Declared(config, frozenset(paths), step))


def chosen_options(config: Config, paths: tuple[str, ...]) -> dict[str, Any]:
    """The options within these sections and options that differ from their defaults, by path, fit for JSON.

    Presets are resolved. Of the patterns of raw files the part below the fixed folder counts, in any order: the same
    files are the same wherever they lie and however the folder is written.
    """
    whole = config.model_dump(mode="json", exclude_defaults=True)
    whole["model"] = _of_model(config)
    for key in PATTERNS:
        if whole["source"].get(key):
            whole["source"][key] = pattern_parts(config, key)
    whole["source"].pop("preset", None)
    fields = whole.pop("fields")
    flat = dict(sorted([*_flat(whole), *_of_fields(fields)]))
    return {path: value for path, value in flat.items() if any(_within(path, wanted) for wanted in paths)}


def pattern_parts(config: Config, key: str) -> list[Any]:
    """What a step is known by of one pattern, its parts below the fixed folder, or of several, those of each."""
    below = placed(patterns_of(getattr(config.source, key)), config.path.parent).below
    return below[0] if len(below) == 1 else sorted(below)


def _of_model(config: Config) -> dict[str, Any]:
    """The model's name, and its options that differ from the model's own defaults."""
    given = config.model.model_dump(mode="json", exclude_none=True)
    defaults = json.loads(json.dumps(default_options(config.model.name)))
    return {name: value for name, value in given.items() if name not in defaults or defaults[name] != value}


def _of_fields(fields: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any]]:
    """The order of the fields, and what each has besides its name and its days, which are not those of one day."""
    found: list[tuple[str, Any]] = [("fields", [field["name"] for field in fields])]
    for field in fields:
        told = {
            key: value
            for key, value in field.items()
            if key not in {"name", "since", "until"} and (key, value) != ("column", field["name"])
        }
        found += _flat(told, f"fields.{field['name']}.")
    return found


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        path = f"{prefix}{key}"
        found += _flat(value, f"{path}.") if isinstance(value, Mapping) else [(path, value)]
    return found


def _within(path: str, wanted: str) -> bool:
    return path == wanted or path.startswith(f"{wanted}.")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed between two sets of chosen options, for people: `training.epochs 3 -> 5`."""
    paths = sorted(before.keys() | now.keys())
    changed = [path for path in paths if path not in before or path not in now or before[path] != now[path]]
    return [f"{path} {_shown(before, path)} -> {_shown(now, path)}" for path in changed]


def _shown(options: Mapping[str, Any], path: str) -> str:
    return json.dumps(options[path]) if path in options else "its default"
