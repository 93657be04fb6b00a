"""Columns of any type as the text that a delimited log would hold."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from pnn_gluon.errors import InputError

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
"""How typed times are written: in UTC those with a zone, others as they are."""

_EXACT_LIMIT = 2.0**53
TOO_LARGE = "a float of 2^53 or more, which does not tell neighbouring ids apart; write it as an integer or text"
NOT_UTF8 = "not valid UTF-8"


class ColumnText(NamedTuple):
    """A column as text.

    Attributes:
        texts: strings; nulls stay null.
        faults: for each kind of value that has no text, a boolean array of the rows with such a value, and the reason.
    """

    texts: Any
    faults: tuple[tuple[Any, str], ...] = ()


def as_text(column: Any, where: str, separator: str) -> ColumnText:
    """A column as strings.

    Whole floats are written without a point, booleans as 1 and 0, times as `TIME_FORMAT`, lists of
    strings or numbers joined by the separator. Whole floats of 2^53 and above, bytes that are not UTF-8 and list values
    that hold the separator have no text: their rows are faults.

    Raises:
        InputError: a type that has no such text, naming the column and the type.
    """
    kind = column.type
    if types.is_dictionary(kind):
        return as_text(column.dictionary_decode(), where, separator)
    if types.is_boolean(kind):
        return ColumnText(column.cast(pa.int8()).cast(pa.string()))
    if types.is_floating(kind):
        return _number_text(column.cast(pa.float64()))
    if is_time(kind):
        return ColumnText(pc.strftime(column.cast(pa.timestamp("s"), safe=False), TIME_FORMAT))
    if types.is_fixed_size_list(kind):
        return as_text(column.cast(pa.list_(kind.value_type)), where, separator)
    if types.is_list(kind) or types.is_large_list(kind):
        return _joined(column, where, separator)
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return _decoded(column)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _decoded(column.cast(pa.string()))  # files may call bytes text that are none, and Arrow takes their word
    try:
        return ColumnText(column.cast(pa.string()))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise InputError(
            f"{where}: expected text, numbers, times or lists of them, received {kind} ({error}); write it as text"
        ) from error


def holds_separator(separator: str) -> str:
    """Why a list has no text: joined and split again, it would be another one."""
    return f"a value of the list holds the separator {separator!r}"


def is_time(kind: Any) -> bool:
    """Whether a column of this type holds times or dates."""
    return bool(types.is_timestamp(kind) or types.is_date(kind))


def has_zone(kind: Any) -> bool:
    """Whether times of this type are moments, and not what clocks of some zone show."""
    return bool(types.is_timestamp(kind) and kind.tz is not None)


def _number_text(column: Any) -> ColumnText:
    values = column.fill_null(np.nan).to_numpy(zero_copy_only=False)
    whole = np.floor(values) == values
    exact = whole & (np.abs(values) < _EXACT_LIMIT)
    integers = pa.array(np.where(exact, values, 0).astype(np.int64)).cast(pa.string())
    written = pc.if_else(pa.array(exact), integers, column.cast(pa.string()))
    texts = pc.if_else(pa.array(np.isnan(values)), None, written)
    return ColumnText(texts, _fault(whole & ~exact & np.isfinite(values), TOO_LARGE))


def _fault(rows: npt.NDArray[np.bool_], reason: str) -> tuple[tuple[Any, str], ...]:
    return ((pa.array(rows), reason),) if rows.any() else ()


def _decoded(column: Any) -> ColumnText:
    """Bytes as UTF-8; what is none is written with backslashes, and a fault."""
    stored = column.cast(pa.binary())
    try:
        return ColumnText(stored.cast(pa.string()))
    except pa.ArrowInvalid:
        values = stored.to_pylist()
    texts = [None if value is None else value.decode("utf-8", "backslashreplace") for value in values]
    wrong = [text is not None and text.encode() != value for value, text in zip(values, texts, strict=True)]
    return ColumnText(pa.array(texts, pa.string()), _fault(np.array(wrong, bool), NOT_UTF8))


def _joined(column: Any, where: str, separator: str) -> ColumnText:
    values = as_text(column.flatten(), where, separator)
    texts = values.texts.fill_null("")
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))).astype(np.int32))
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, texts, mask=column.is_null()), separator)
    holds = (pc.match_substring(texts, separator), holds_separator(separator))
    faults: list[tuple[Any, str]] = []
    for wrong, reason in (*values.faults, holds):
        marked = np.zeros(len(lengths), bool)
        marked[rows[wrong.fill_null(False).to_numpy(zero_copy_only=False)]] = True
        faults += _fault(marked, reason)
    return ColumnText(joined, tuple(faults))
