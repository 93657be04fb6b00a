"""Rows of CSV files with a header; plain or compressed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pnn_gluon.errors import InputError
from pnn_gluon.experiments.config import DataConfig, DataField
from pnn_gluon.experiments.rows import FieldValues, Rows, read_labels, without_empty_end

_FIRST_LINE = 2


def read_csv(path: Path, data: DataConfig, names: Sequence[str] | None = None) -> Rows:
    """Rows of a file; every value is text, also the empty one.

    A field with a separator has the set of the values between separators, without blanks around them and without
    empty ones.

    Args:
        path: The file; `.gz` and others are decompressed.
        data: Label column, delimiter, fields.
        names: Columns to read when the configuration lists no fields; None for all but the label.

    Raises:
        InputError: a line with another number of columns, a label that is none, a column that is missing, a value of
            several lines.
    """
    table = _read_table(path, data.delimiter)
    given = names if names is not None else [name for name in table.column_names if name != data.label]
    fields = data.fields or tuple(DataField(name=name) for name in given)
    for column in (data.label, *(field.column or field.name for field in fields)):
        if column not in table.column_names:
            raise InputError(f"{path} line 1: no column {column!r}; there are {', '.join(table.column_names)}")
    table = _without_empty_end(table)
    for name in table.column_names:
        _check_lines(table, name, path)
    label = read_labels(_column(table, data.label), path, _FIRST_LINE)
    return Rows(label, {field.name: _values(table, field) for field in fields})


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


def _values(table: Any, field: DataField) -> FieldValues:
    text = _column(table, field.column or field.name)
    if field.separator is None:
        return FieldValues(np.arange(len(text)), text)
    lists = pc.split_pattern(text, field.separator)
    rows, parts = pc.list_parent_indices(lists).to_numpy(), pc.utf8_trim_whitespace(lists.flatten())
    filled = pc.not_equal(parts, "")
    return FieldValues(rows[filled.to_numpy(zero_copy_only=False)], parts.filter(filled), field.max_values)
