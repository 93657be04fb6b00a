"""The options of a model's class: its keywords, those of groups such as `MLPOptions` one by one."""

import dataclasses
import inspect
import typing
from typing import TYPE_CHECKING, Any, TypeGuard

from pnn_gluon.models.option import form_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def keywords(block: Any) -> dict[str, Any]:
    """The keywords of a model's class with their defaults; a default that is a dataclass is a group of options."""
    parameters = inspect.signature(block).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def is_group(default: object) -> "TypeGuard[DataclassInstance]":
    """Whether a keyword's default is a group of options."""
    return dataclasses.is_dataclass(default) and not isinstance(default, type)


def grouped(keywords: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options by keyword: those of a group put into it."""
    arguments: dict[str, Any] = {}
    for keyword, default in keywords.items():
        if is_group(default):
            inside = {field.name for field in dataclasses.fields(default)} & options.keys()
            arguments[keyword] = dataclasses.replace(default, **{option: options[option] for option in inside})
        elif keyword in options:
            arguments[keyword] = options[keyword]
    return arguments


def options_of_class(name: str, block: Any) -> dict[str, Any]:
    """Form and default of each option of a network's class; those of groups one by one.

    Raises:
        ConfigError: an option of a type that no configuration can give.
    """
    hints = typing.get_type_hints(block.__init__, include_extras=True)
    options: dict[str, Any] = {}
    for keyword, default in keywords(block).items():
        if dataclasses.is_dataclass(default):
            options |= options_of_group(name, default)
        else:
            form = form_of(hints.get(keyword), f"model {name!r}, option {keyword!r}")
            options[keyword] = {"form": form, "default": default}
    return options


def options_of_group(name: str, group: Any) -> dict[str, Any]:
    """Form and default of each option of a group; arguments and errors as above."""
    hints = typing.get_type_hints(type(group), include_extras=True)
    return {
        option: {"form": form_of(hints[option], f"model {name!r}, option {option!r}"), "default": default}
        for option, default in dataclasses.asdict(group).items()
    }
