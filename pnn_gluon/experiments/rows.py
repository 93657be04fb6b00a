"""Labelled rows as text: what every format is read into, before values get ids."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pnn_gluon.errors import InputError

_UNIT = r"0*1(?:\.0*)?(?:[eE][-+]?0+)?"
ONE, MINUS_ONE, ZERO = rf"\+?{_UNIT}", f"-{_UNIT}", r"[-+]?0+(?:\.0*)?(?:[eE][-+]?[0-9]+)?"
"""Ways to write the numbers that a label may be; a file has 0 or -1 for negatives, not both."""


@dataclass(frozen=True, eq=False)
class FieldValues:
    """The values of one field: `text[k]` belongs to row `rows[k]`; a row may have none or several.

    Attributes:
        rows: Row numbers, never falling, int64.
        text: Arrow array of strings of the same length.
        width: Most values of a row that count; None for as many as the longest row of train has.
    """

    rows: NDArray[np.int64]
    text: Any
    width: int | None = 1


@dataclass(frozen=True, eq=False)
class Rows:
    """Labels 0 or 1, float32 (rows,), and the values of each field."""

    label: NDArray[np.float32]
    fields: Mapping[str, FieldValues]

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Only these rows, in the order of the file."""
        chosen = np.zeros(len(self.label), np.bool_)
        chosen[rows] = True
        number = np.cumsum(chosen) - 1
        fields = {name: _taken(values, chosen, number) for name, values in self.fields.items()}
        return type(self)(self.label[chosen], fields)


def _taken(values: FieldValues, chosen: NDArray[np.bool_], number: NDArray[np.int64]) -> FieldValues:
    kept = chosen[values.rows]
    return FieldValues(number[values.rows[kept]], values.text.filter(pa.array(kept)), values.width)


def read_labels(text: Any, path: Path, first_line: int) -> NDArray[np.float32]:
    """Labels of an Arrow array of strings, one for each row.

    Raises:
        InputError: a text that is no label, or 0 and -1 both in use.
    """
    trimmed = pc.utf8_trim_whitespace(text)
    one, minus, zero = (pc.match_substring_regex(trimmed, f"^{number}$") for number in (ONE, MINUS_ONE, ZERO))
    row = pc.index(pc.or_(one, pc.or_(minus, zero)), False).as_py()
    if row >= 0:
        raise InputError(
            f"{path} line {row + first_line}: expected the label 0 or 1 (or -1 or 1), received {text[row].as_py()!r}"
        )
    if pc.any(minus).as_py() and pc.any(zero).as_py():
        raise InputError(f"{path}: expected the labels 0 and 1, or -1 and 1; received 0 and -1 both")
    label: NDArray[np.float32] = one.to_numpy(zero_copy_only=False).astype(np.float32)
    return label


def without_empty_end(rows: Any, empty: Any) -> Any:
    """Arrow rows, or a table of them, up to the last one that is not `empty` (rows,)."""
    filled = np.flatnonzero(~empty.to_numpy(zero_copy_only=False))
    return rows.slice(0, filled[-1] + 1 if filled.size else 0)
