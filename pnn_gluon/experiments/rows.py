"""Labelled rows with typed columns: what every format is read into, before values get ids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pnn_gluon.config import Fields
from pnn_gluon.errors import InputError

_UNIT = r"0*1(?:\.0*)?(?:[eE][-+]?0+)?"
ONE, MINUS_ONE, ZERO = rf"\+?{_UNIT}", f"-{_UNIT}", r"[-+]?0+(?:\.0*)?(?:[eE][-+]?[0-9]+)?"
"""Ways to write the numbers that a label may be; a file has 0 or -1 for negatives, not both."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Labelled rows as the daily pipeline has them after ingest.

    Attributes:
        label: 0 or 1, float32 (rows,).
        fields: The fields, in order.
        table: Arrow table with a column for each field by name, null where a value is missing: doubles for numeric
            fields, text for the others, the values of a multi-valued one between separators.
    """

    label: NDArray[np.float32]
    fields: Fields
    table: Any

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Only these rows, in this order."""
        return type(self)(self.label[rows], self.fields, self.table.take(pa.array(rows)))


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
