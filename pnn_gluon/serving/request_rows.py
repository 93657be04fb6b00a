"""Raw rows as a request has them: JSON objects, checked value by value, as columns for the encoder."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from pnn_gluon.data.feature_map import FeatureMap
from pnn_gluon.errors import InputError

Columns: TypeAlias = list[list[Any]]
"""For each field of a map, in its order, its value in each row; None for missing."""

EXPECTED = {"categorical": "text or an integer", "numeric": "a number", "multi": "text with separators"}


class RowError(InputError):
    """A row of a request that cannot be read, by its number from 0, and the field."""

    def __init__(self, row: int, field: str | None, message: str) -> None:
        super().__init__(f"row {row}{'' if field is None else f', field {field}'}: {message}")
        self.row, self.field = row, field


def request_columns(feature_map: FeatureMap, rows: Sequence[Any]) -> Columns:
    """The rows' values by field; a field that a row does not name is missing there, as null is.

    Raises:
        RowError: a row is no object, names a field that the map does not have, or a value is of another kind.
    """
    names = [field.name for field in feature_map.fields]
    known = frozenset(names)
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise RowError(number, None, f"expected an object of fields and values, received {_told(row)}")
        if unknown := row.keys() - known:
            name = min(unknown)
            raise RowError(number, name[:80], f"the model has no such field; it has {', '.join(names)}")
    return [_column(field.name, field.kind, [row.get(field.name) for row in rows]) for field in feature_map.fields]


def record_batch(feature_map: FeatureMap, columns: Iterable[Sequence[Any]]) -> Any:
    """The Arrow record batch that `encode_batch` takes."""
    kinds = [field.kind for field in feature_map.fields]
    types = [pa.float64() if kind == "numeric" else pa.string() for kind in kinds]
    arrays = [pa.array(column, each) for column, each in zip(columns, types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, [field.name for field in feature_map.fields])


def _column(name: str, kind: str, values: list[Any]) -> list[Any]:
    read = {"categorical": _text_or_integer, "numeric": _number, "multi": _text}[kind]
    found = []
    for row, value in enumerate(values):
        try:
            found.append(None if value is None else read(value))
        except (TypeError, ValueError, OverflowError) as error:
            raise RowError(row, name, f"expected {EXPECTED[kind]}, received {_told(value)}") from error
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not value.isascii():
        value.encode()  # half a surrogate pair is no text
    return value


def _text_or_integer(value: Any) -> str:
    return str(value) if type(value) is int else _text(value)


def _number(value: Any) -> float:
    if type(value) not in {int, float}:
        raise TypeError
    return float(value)


def _told(value: Any) -> str:
    """A value in an error: short, and in ASCII."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return _shortened(value)


def _shortened(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
