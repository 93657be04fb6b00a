"""Fields of paper mode as earlier releases spelt them, in the words of the daily pipeline."""

from collections.abc import Mapping
from typing import Any


def present_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """The table `[data]` with its fields as they are written now.

    A field without `kind` is categorical, or multi-valued if it has a `separator` or `max_values`. `first` and `last`
    of a field of libsvm stand in `indices`.

    Raises:
        ValueError: `first` without `last`, or the other way round.
    """
    fields = data.get("fields")
    if not isinstance(fields, list | tuple):
        return dict(data)
    indices = {field["name"]: _range(field) for field in fields if _has_range(field)}
    written = {**data, "fields": [_with_kind(field) for field in fields]}
    given = data.get("indices")
    return written | ({"indices": {**(given if isinstance(given, Mapping) else {}), **indices}} if indices else {})


def _has_range(field: Any) -> bool:
    return isinstance(field, Mapping) and bool({"first", "last"} & field.keys()) and isinstance(field.get("name"), str)


def _range(field: Mapping[str, Any]) -> list[Any]:
    if not {"first", "last"} <= field.keys():
        raise ValueError(
            f"field {field['name']!r}: `first` and `last` go together; now written "
            f"indices = {{ {field['name']} = [first, last] }} beside `fields`"
        )
    return [field["first"], field["last"]]


def _with_kind(field: Any) -> Any:
    if not isinstance(field, Mapping):
        return field
    kind = "multi" if {"separator", "max_values"} & field.keys() else "categorical"
    return {"kind": kind, **{key: value for key, value in field.items() if key not in {"first", "last"}}}
