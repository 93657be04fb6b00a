"""Columns of any type as the text that a delimited log would hold."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from pnn_gluon.errors import InputError

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
"""How typed times are written, in UTC."""

_EXACT_LIMIT = 2.0**53


def as_text(column: Any, where: str, separator: str) -> Any:
    """A column as strings; nulls stay null.

    Whole floats are written without a point, booleans as 1 and 0, times as `TIME_FORMAT` (times without a zone
    are taken for UTC), lists of strings or numbers joined by the separator.

    Raises:
        InputError: a type that has no such text, naming the column and the type.
    """
    kind = column.type
    if types.is_dictionary(kind):
        return as_text(column.dictionary_decode(), where, separator)
    if types.is_boolean(kind):
        return column.cast(pa.int8()).cast(pa.string())
    if types.is_floating(kind):
        return _number_text(column.cast(pa.float64()))
    if is_time(kind):
        return pc.strftime(column.cast(pa.timestamp("s"), safe=False), TIME_FORMAT)
    if types.is_list(kind) or types.is_large_list(kind):
        return _joined(column, where, separator)
    try:
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise InputError(
            f"{where}: expected text, numbers, times or lists of them, received {kind} ({error}); write it as text"
        ) from error


def is_time(kind: Any) -> bool:
    """Whether a column of this type holds times or dates."""
    return bool(types.is_timestamp(kind) or types.is_date(kind))


def _number_text(column: Any) -> Any:
    values = column.fill_null(np.nan).to_numpy(zero_copy_only=False)
    whole = (np.abs(values) < _EXACT_LIMIT) & (np.floor(values) == values)
    integers = pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.string())
    return pc.if_else(pa.array(np.isnan(values)), None, pc.if_else(pa.array(whole), integers, column.cast(pa.string())))


def _joined(column: Any, where: str, separator: str) -> Any:
    texts = as_text(column.flatten(), where, separator).fill_null("")
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))).astype(np.int32))
    absent = column.is_null()
    return pc.binary_join(pa.ListArray.from_arrays(offsets, texts, mask=absent), separator)
