"""One option of a model: its type as data, so that a configuration can be checked without the model's file."""

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import annotated_types
from pydantic import BeforeValidator, Field
from pydantic.fields import FieldInfo

from pnn_gluon.errors import ConfigError
from pnn_gluon.option_types import FieldName, OfField, one_is_a_tuple

_PLAIN = {"bool": bool, "int": int, "float": float, "str": str, "field": FieldName}
_LIMITS = {
    "ge": annotated_types.Ge,
    "gt": annotated_types.Gt,
    "le": annotated_types.Le,
    "lt": annotated_types.Lt,
}

Form = Mapping[str, Any]
"""A type as JSON: {"type": "int", "ge": 1}, {"choices": [...]}, {"list": form}, {"each": [form, ...]}."""


@dataclass(frozen=True)
class Option:
    """What an option takes, and what it is when left out.

    Attributes:
        form: Its type.
        default: A value, with tuples for lists.
    """

    form: Form
    default: Any

    @property
    def annotation(self) -> Any:
        """The type as pydantic takes it."""
        return annotation_of(self.form)

    def fields_in(self, value: Any) -> set[str]:
        """The names of fields within a value of this option."""
        return set(_fields_in(self.form, value))


def form_of(hint: Any, where: str) -> Form:
    """The type of a keyword as JSON.

    Args:
        hint: Its annotation: bool, int, float, str, `FieldName`, a Literal, a tuple of these, or one of them with None;
            with limits as `Annotated[int, Field(ge=1)]`.
        where: Names model and option in the error.

    Raises:
        ConfigError: another annotation.
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _with_limits(inner[0], inner[1:], where)
    if origin is Literal:
        return {"choices": list(inner)}
    if origin in {types.UnionType, typing.Union} and type(None) in inner and len(inner) == 2:
        return {**form_of(next(each for each in inner if each is not type(None)), where), "none": True}
    if origin is tuple and inner[1:] == (...,):
        return {"list": form_of(inner[0], where)}
    if origin is tuple:
        return {"each": [form_of(each, where) for each in inner]}
    if hint in {bool, int, float, str}:
        return {"type": hint.__name__}
    raise ConfigError(
        f"{where}: its type is {hint!r}, expected bool, int, float, str, FieldName, Literal[...] or a tuple of these"
    )


def annotation_of(form: Form) -> Any:
    """The type that `form_of` described, as pydantic takes it."""
    limits = {name: form[name] for name in _LIMITS if name in form}
    if "choices" in form:
        hint: Any = Literal[tuple(form["choices"])]
    elif "list" in form:
        hint = tuple[annotation_of(form["list"]), ...]  # type: ignore[misc]  # a type made at run time
        if form["list"].get("type") == "int":
            hint = Annotated[hint, BeforeValidator(one_is_a_tuple)]
    elif "each" in form:
        hint = tuple[tuple(map(annotation_of, form["each"]))]  # type: ignore[misc]  # as above
    else:
        hint = _PLAIN[form["type"]]
    return Annotated[hint, Field(**limits)] if limits else hint


def _with_limits(hint: Any, notes: tuple[Any, ...], where: str) -> Form:
    if OfField in notes:
        return {"type": "field"}
    each = [limit for note in notes for limit in (note.metadata if isinstance(note, FieldInfo) else [note])]
    limits = {name: getattr(limit, name) for limit in each for name, kind in _LIMITS.items() if isinstance(limit, kind)}
    return {**form_of(hint, where), **limits}


def _fields_in(form: Form, value: Any) -> list[str]:
    if form.get("type") == "field":
        return [value] if value else []
    inner = [form["list"]] * len(value) if "list" in form else form.get("each", [])
    return [name for each, part in zip(inner, value if inner else (), strict=True) for name in _fields_in(each, part)]
