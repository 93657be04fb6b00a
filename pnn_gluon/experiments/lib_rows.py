"""Rows of libsvm and libffm files: a label and sparse features of value 1.

libffm writes `label field:feature:1 ...`, libsvm `label index:1 ...`. Features of another value are refused: a
number must be put into buckets first, each a feature of its own.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from pnn_gluon.config import MAX_VALUES, AnyField, CategoricalField, Fields, MultiField
from pnn_gluon.errors import InputError
from pnn_gluon.experiments.config import DataConfig
from pnn_gluon.experiments.rows import MINUS_ONE, ONE, ZERO, Rows, read_labels, without_empty_end

_NUMBER = "[0-9]{1,18}"
_SEPARATOR = "|"
_ENTRIES = {"libffm": f"{_NUMBER}:{_NUMBER}", "libsvm": _NUMBER}
_SHOWN = {"libffm": "field:feature:1", "libsvm": "index:1"}
_LABEL = f"(?:{ONE}|{MINUS_ONE}|{ZERO})"


class _Entries:
    """The entries of all lines of a file, one after the other.

    Attributes:
        label: 0 or 1, float32 (rows,).
        rows: Row number of each entry, int64.
        place: Place of each entry in its line, from 0, int64.
        text: The entries without their value, Arrow strings.
    """

    def __init__(self, path: Path, kind: str) -> None:
        lines = _read_lines(path)
        _check_lines(lines, path, kind)
        tokens = pc.split_pattern_regex(pc.utf8_trim_whitespace(lines), r"[ \t]+")
        parents, flat = pc.list_parent_indices(tokens).to_numpy(), tokens.flatten()
        starts = np.searchsorted(parents, np.arange(len(lines)))
        place = np.arange(len(parents)) - starts[parents]
        self.path = path
        self.label = read_labels(flat.take(pa.array(starts)), path, 1)
        self.rows: NDArray[np.int64] = parents[place > 0].astype(np.int64)
        self.place: NDArray[np.int64] = place[place > 0] - 1
        self.text = pc.replace_substring_regex(flat.filter(pa.array(place > 0)), f":{ONE}$", "")


def read_libffm(path: Path, data: DataConfig, fields: Fields | None = None) -> Rows:
    """Rows of `label field:feature:1 ...`; field n has the name `field_n`, several features make it multi-valued.

    Args:
        path: The file; `.gz` and others are decompressed.
        data: Not looked at: the file names its fields.
        fields: Those of train; None if this is train, and all its fields are wanted, as wide as their longest row.

    Raises:
        InputError: a malformed line, a value other than 1, a field that train does not have.
    """
    entries = _Entries(path, "libffm")
    parts = pc.extract_regex(entries.text, f"^(?P<field>{_NUMBER}):(?P<feature>{_NUMBER})$")
    number, feature = parts.field("field").cast(pa.int64()).to_numpy(), _same_text(parts.field("feature"))
    found = {f"field_{n}": n for n in np.unique(number)}
    if fields is None:
        fields = tuple(_field(entries, name, number == n, feature) for name, n in found.items())
    for name in found.keys() - {field.name for field in fields}:
        row = entries.rows[np.argmax(number == found[name])]
        raise InputError(f"{path} line {row + 1}: field {found[name]} does not occur in the train file")
    return _rows(entries, fields, feature, {f.name: number == int(f.name.removeprefix("field_")) for f in fields})


def _field(entries: "_Entries", name: str, chosen: NDArray[np.bool_], feature: Any) -> AnyField:
    """A field that is as wide as its longest row."""
    code = feature.dictionary_encode().indices.to_numpy()[chosen]
    pairs = np.unique(np.stack([entries.rows[chosen], code]), axis=1)
    width = int(np.bincount(pairs[0]).max())
    if width == 1:
        return CategoricalField(name=name)
    if width > MAX_VALUES:
        raise InputError(f"{entries.path}: {name} has {width} features in a line, at most {MAX_VALUES} are possible")
    return MultiField(name=name, kind="multi", separator=_SEPARATOR, max_values=width)


def read_libsvm(path: Path, data: DataConfig, fields: Fields | None = None) -> Rows:
    """Rows of `label index:1 ...`: the fields are ranges of indices if declared, else the places in the line.

    Without declared fields every line has the same number of entries, with rising indices; the n-th has the name
    `field_n`, from 0.

    Args:
        path: The file; `.gz` and others are decompressed.
        data: Fields and their ranges of indices.
        fields: Those of train; None if this is train.

    Raises:
        InputError: a malformed line, a value other than 1, an index outside all ranges, a line of another length or in
            another order.
    """
    entries = _Entries(path, "libsvm")
    if data.fields:
        return _by_range(entries, data)
    return _by_place(entries, fields)


def _by_place(entries: _Entries, fields: Fields | None) -> Rows:
    lengths = np.bincount(entries.rows, minlength=len(entries.label))
    if fields is None:
        fields = tuple(CategoricalField(name=f"field_{n}") for n in range(int(lengths[0]) if len(lengths) else 0))
    length = len(fields)
    wrong = np.flatnonzero(lengths != length)
    if wrong.size:
        raise InputError(
            f"{entries.path} line {wrong[0] + 1}: expected {length} entries as in the first line of train, "
            f"received {lengths[wrong[0]]}; declare `fields` and `indices` if lines may differ"
        )
    _check_order(entries)
    chosen = {field.name: entries.place == n for n, field in enumerate(fields)}
    return _rows(entries, fields, _same_text(entries.text), chosen)


def _check_order(entries: _Entries) -> None:
    """Refuse lines whose indices do not rise: there the place of an entry does not tell its field."""
    index = entries.text.cast(pa.int64()).to_numpy()
    wrong = np.flatnonzero((np.diff(index) <= 0) & (np.diff(entries.rows) == 0))
    if wrong.size:
        place = wrong[0]
        raise InputError(
            f"{entries.path} line {entries.rows[place] + 1}: expected rising indices, received {index[place + 1]} "
            f"after {index[place]}: the n-th entry of a line is field_n; sort the entries, or declare `fields` and "
            "`indices`"
        )


def _by_range(entries: _Entries, data: DataConfig) -> Rows:
    index = entries.text.cast(pa.int64()).to_numpy()
    inside = {name: (index >= first) & (index <= last) for name, (first, last) in data.indices.items()}
    owners = np.sum(list(inside.values()), axis=0)
    wrong = np.flatnonzero(owners != 1)
    if wrong.size:
        where = "no range" if owners[wrong[0]] == 0 else "several ranges"
        raise InputError(
            f"{entries.path} line {entries.rows[wrong[0]] + 1}: expected an index in one range of `indices`, "
            f"received {index[wrong[0]]}, which lies in {where}"
        )
    for field in data.fields:
        _check_single(entries, field, inside[field.name])
    return _rows(entries, data.fields, _same_text(entries.text), inside)


def _check_single(entries: _Entries, field: AnyField, chosen: NDArray[np.bool_]) -> None:
    """Refuse several values of a field in a line unless it is declared as one of several values."""
    again = np.flatnonzero(np.diff(entries.rows[chosen]) == 0)
    if field.kind == "categorical" and again.size:
        raise InputError(
            f"{entries.path} line {entries.rows[chosen][again[0]] + 1}: field {field.name!r} has several values; "
            f'declare it as {{ name = "{field.name}", kind = "multi", max_values = 16 }}'
        )


def _same_text(numbers: Any) -> Any:
    """Whole numbers without leading zeros, so that one number is one value."""
    return numbers.cast(pa.int64()).cast(pa.string())


def _rows(entries: _Entries, fields: Fields, text: Any, chosen: Mapping[str, NDArray[np.bool_]]) -> Rows:
    """Rows whose fields have the chosen entries as values."""
    columns = {field.name: _column(entries, text, chosen[field.name], field) for field in fields}
    return Rows(entries.label, fields, pa.table(columns))


def _column(entries: _Entries, text: Any, chosen: NDArray[np.bool_], field: AnyField) -> Any:
    """The values of a field as text: of a categorical one the first of a line, else all between separators."""
    rows, values = entries.rows[chosen], text.filter(pa.array(chosen))
    if field.kind == "categorical":
        rows, first = np.unique(rows, return_index=True)
        values = values.take(pa.array(first))
    counts = np.bincount(rows, minlength=len(entries.label))
    lists = pa.ListArray.from_arrays(pa.array(np.cumsum([0, *counts]), pa.int32()), values)
    joined = pc.binary_join(lists, getattr(field, "separator", ""))
    return pc.if_else(pa.array(counts > 0), joined, pa.scalar(None, pa.string()))


def _read_lines(path: Path) -> Any:
    """The lines as an Arrow array of strings, without empty ones at the end."""
    read = pa.csv.ReadOptions(column_names=["line"])
    parse = pa.csv.ParseOptions(delimiter="\x01", quote_char=False, ignore_empty_lines=False)
    convert = pa.csv.ConvertOptions(column_types={"line": pa.string()}, strings_can_be_null=False)
    try:
        lines = pa.csv.read_csv(path, read, parse, convert)["line"].combine_chunks()
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: cannot be read as lines of text ({error})") from error
    return without_empty_end(lines, pc.equal(pc.utf8_trim_whitespace(lines), ""))


def _check_lines(lines: Any, path: Path, kind: str) -> None:
    good = pc.match_substring_regex(lines, rf"^[ \t]*{_LABEL}(?:[ \t]+{_ENTRIES[kind]}:{ONE})*[ \t]*$")
    bad = pc.index(good, False).as_py()
    if bad >= 0:
        raise InputError(f"{path} line {bad + 1}: {_what_is_wrong(lines[bad].as_py(), kind)}")


def _what_is_wrong(line: str, kind: str) -> str:
    label, *entries = line.split() or [""]
    if not re.fullmatch(_LABEL, label):
        return f"expected the label 0 or 1 (or -1 or 1) first, received {label!r}"
    entry = next(entry for entry in entries if not re.fullmatch(f"{_ENTRIES[kind]}:{ONE}", entry))
    number = re.fullmatch(f"{_ENTRIES[kind]}:([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)", entry)
    advice = "; put numbers into buckets first, each a feature of value 1" if number else ""
    return f"expected `{_SHOWN[kind]}`, received {entry!r}{advice}"
