"""Rows of CSV files with a header; plain or compressed."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pnn_gluon.config import ENGINE_NAMES, FIELD_NAME, NUMBER, AnyField, CategoricalField, Fields
from pnn_gluon.errors import InputError
from pnn_gluon.experiments.config import DataConfig
from pnn_gluon.experiments.rows import Rows, read_labels, without_empty_end

_FIRST_LINE = 2


def read_csv(path: Path, data: DataConfig, fields: Fields | None = None) -> Rows:
    """Rows of a file. A text of `data.missing` is no value; every other text of a field that is not numeric is one.

    Args:
        path: The file; `.gz` and others are decompressed.
        data: Label column, delimiter, texts that stand for no value, fields.
        fields: Those of train; None if this is train: then all columns but the label are, unless `data` lists fields.

    Raises:
        InputError: a line with another number of columns, a label that is none, a column that is missing or has no
            name that a field may have, a value of several lines, a number that is none.
    """
    table = _read_table(path, data.delimiter)
    read = fields or data.fields or _fields(path, [name for name in table.column_names if name != data.label])
    for column in (data.label, *(field.column.lower() for field in read)):
        if column not in table.column_names:
            raise InputError(f"{path} line 1: no column {column!r}; there are {', '.join(table.column_names)}")
    table = _without_empty_end(table)
    for name in table.column_names:
        _check_lines(table, name, path)
    label = read_labels(_column(table, data.label), path, _FIRST_LINE)
    columns = {field.name: _values(_column(table, field.column.lower()), field, data.missing, path) for field in read}
    return Rows(label, read, pa.table(columns))


def _fields(path: Path, names: list[str]) -> Fields:
    """Categorical fields of all these columns."""
    for name in names:
        if not FIELD_NAME.match(name) or name in ENGINE_NAMES:
            raise InputError(
                f"{path} line 1: column {name!r}: a field's name has letters, digits and underscores, begins with no "
                f"digit, and is none of {', '.join(sorted(ENGINE_NAMES))}; rename it, or list the fields in data.fields"
            )
    return tuple(CategoricalField(name=name) for name in names)


def _read_table(path: Path, delimiter: str) -> Any:
    wrong: list[Any] = []

    def note(row: Any) -> str:
        wrong.append(row)
        return "skip"

    parse = pa.csv.ParseOptions(delimiter=delimiter, invalid_row_handler=note, ignore_empty_lines=False)
    read = pa.csv.ReadOptions(use_threads=False)  # only then are lines numbered
    convert = pa.csv.ConvertOptions(default_column_type=pa.string())
    try:
        table = pa.csv.read_csv(path, read, parse, convert)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: cannot be read as CSV with a header ({error})") from error
    if wrong:
        row = wrong[0]
        raise InputError(
            f"{path} line {row.number}: expected {row.expected_columns} columns as in the header, "
            f"received {row.actual_columns}"
        )
    table = table.rename_columns([name.strip().lower() for name in table.column_names])
    if len(set(table.column_names)) < len(table.column_names):
        raise InputError(f"{path} line 1: a column comes twice in {', '.join(table.column_names)}")
    if "" in table.column_names:
        place = table.column_names.index("") + 1
        raise InputError(f"{path} line 1: column {place} of {len(table.column_names)} has no name; name every column")
    return table


def _without_empty_end(table: Any) -> Any:
    """The rows without those at the end, such as of empty lines, in which every column is empty."""
    empty = np.ones(len(table), np.bool_)
    for name in table.column_names:
        empty &= pc.equal(table[name], "").to_numpy()
    return without_empty_end(table, pa.array(empty))


def _check_lines(table: Any, name: str, path: Path) -> None:
    """Refuse a value with a line break: rows would be part of it, mostly for want of a closing quote."""
    row = pc.index(pc.match_substring(table[name], "\n"), True).as_py()
    if row >= 0:
        raise InputError(
            f"{path} line {row + _FIRST_LINE}: column {name!r} has a value of several lines: close its quote"
        )


def _column(table: Any, name: str) -> Any:
    return table[name].combine_chunks()


def _values(text: Any, field: AnyField, missing: tuple[str, ...], path: Path) -> Any:
    """The column of a field: doubles for a numeric one, else its text; null for the texts that are no value."""
    text = pc.if_else(pc.is_in(text, pa.array(missing, pa.string())), pa.scalar(None, pa.string()), text)
    return _numbers(text, field, path) if field.kind == "numeric" else text


def _numbers(text: Any, field: AnyField, path: Path) -> Any:
    """Finite numbers, blanks around them removed."""
    trimmed = pc.utf8_trim(text, " ")
    good = pc.match_substring_regex(trimmed, f"^{NUMBER}$")
    numbers = pc.cast(pc.utf8_ltrim(pc.if_else(good, trimmed, "nan"), "+"), pa.float64())
    row = pc.index(pc.is_finite(numbers), False).as_py()
    if row >= 0:
        raise InputError(
            f"{path} line {row + _FIRST_LINE}: column {field.column!r}: expected a number, received "
            f"{text[row].as_py()!r}; texts that stand for no number go into data.missing"
        )
    return numbers
