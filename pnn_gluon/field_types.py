"""Whether values read from JSON are of the types that a dataclass declares."""

import dataclasses
import functools
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError


def check_types(instance: Any) -> None:
    """See that the fields of a dataclass, and of dataclasses in them, are of their types.

    Raises:
        TypeError: naming the first that is not.
    """
    for name, kind in _kinds(type(instance)).items():  # type: ignore[arg-type]  # a class can be hashed
        value = getattr(instance, name)
        if dataclasses.is_dataclass(value):
            check_types(value)
        else:
            check_type(name, value, kind)


def check_type(name: str, value: Any, kind: Any) -> None:
    """See that a value is of a type, without turning it into one that is.

    Raises:
        TypeError: naming it.
    """
    try:
        _adapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        raise TypeError(f"{name}: {error.errors()[0]['msg']}, received {value!r}") from error


@functools.cache
def _kinds(declared: Any) -> dict[str, Any]:
    return get_type_hints(declared)


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
