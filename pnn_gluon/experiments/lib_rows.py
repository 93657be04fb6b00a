"""Rows of libsvm and libffm files: a label and sparse features of value 1.

libffm writes `label field:feature:1 ...`, libsvm `label index:1 ...`. Features of another value are refused: a
number must be put into buckets first, each a feature of its own.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from pnn_gluon.errors import InputError
from pnn_gluon.experiments.config import DataConfig, DataField
from pnn_gluon.experiments.rows import MINUS_ONE, ONE, ZERO, FieldValues, Rows, read_labels, without_empty_end

_NUMBER = "[0-9]{1,18}"
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


def read_libffm(path: Path, data: DataConfig, names: Sequence[str] | None = None) -> Rows:
    """Rows of `label field:feature:1 ...`; field n has the name `field_n`, several features make it multi-valued.

    Args:
        path: The file; `.gz` and others are decompressed.
        data: Not looked at: the file names its fields.
        names: The fields of train; None if this is train, and all its fields are wanted.

    Raises:
        InputError: a malformed line, a value other than 1, a field that train does not have.
    """
    entries = _Entries(path, "libffm")
    parts = pc.extract_regex(entries.text, f"^(?P<field>{_NUMBER}):(?P<feature>{_NUMBER})$")
    number = parts.field("field").cast(pa.int64()).to_numpy()
    found = {f"field_{n}": n for n in np.unique(number)}
    for name in found.keys() - set(found if names is None else names):
        row = entries.rows[np.argmax(number == found[name])]
        raise InputError(f"{path} line {row + 1}: field {found[name]} does not occur in the train file")
    feature = _same_text(parts.field("feature"))
    wanted = {name: int(name.removeprefix("field_")) for name in (found if names is None else names)}
    return Rows(entries.label, {name: _part(entries.rows, feature, number == n, None) for name, n in wanted.items()})


def read_libsvm(path: Path, data: DataConfig, names: Sequence[str] | None = None) -> Rows:
    """Rows of `label index:1 ...`: the fields are ranges of indices if declared, else the places in the line.

    Without declared fields every line has the same number of entries, with rising indices; the n-th has the name
    `field_n`, from 0.

    Args:
        path: The file; `.gz` and others are decompressed.
        data: Ranges of indices.
        names: The fields of train; None if this is train.

    Raises:
        InputError: a malformed line, a value other than 1, an index outside all ranges, a line of another length or in
            another order.
    """
    entries = _Entries(path, "libsvm")
    if data.fields:
        return _by_range(entries, data.fields)
    return _by_place(entries, None if names is None else len(names))


def _by_place(entries: _Entries, expected: int | None) -> Rows:
    lengths = np.bincount(entries.rows, minlength=len(entries.label))
    length = int(lengths[0]) if expected is None and len(lengths) else expected or 0
    wrong = np.flatnonzero(lengths != length)
    if wrong.size:
        raise InputError(
            f"{entries.path} line {wrong[0] + 1}: expected {length} entries as in the first line of train, "
            f"received {lengths[wrong[0]]}; declare `fields` with ranges of indices if lines may differ"
        )
    _check_order(entries)
    text = _same_text(entries.text)
    fields = {f"field_{n}": _part(entries.rows, text, entries.place == n, 1) for n in range(length)}
    return Rows(entries.label, fields)


def _check_order(entries: _Entries) -> None:
    """Refuse lines whose indices do not rise: there the place of an entry does not tell its field."""
    index = entries.text.cast(pa.int64()).to_numpy()
    wrong = np.flatnonzero((np.diff(index) <= 0) & (np.diff(entries.rows) == 0))
    if wrong.size:
        place = wrong[0]
        raise InputError(
            f"{entries.path} line {entries.rows[place] + 1}: expected rising indices, received {index[place + 1]} "
            f"after {index[place]}: the n-th entry of a line is field_n; sort the entries, or declare `fields` with "
            "ranges of indices"
        )


def _by_range(entries: _Entries, fields: Sequence[DataField]) -> Rows:
    index = entries.text.cast(pa.int64()).to_numpy()
    text = _same_text(entries.text)
    inside = {f.name: (index >= (f.first or 0)) & (index <= (f.last or 0)) for f in fields}
    owners = np.sum(list(inside.values()), axis=0)
    wrong = np.flatnonzero(owners != 1)
    if wrong.size:
        where = "no range" if owners[wrong[0]] == 0 else "several ranges"
        raise InputError(
            f"{entries.path} line {entries.rows[wrong[0]] + 1}: expected an index in one range of `fields`, "
            f"received {index[wrong[0]]}, which lies in {where}"
        )
    return Rows(entries.label, {f.name: _part(entries.rows, text, inside[f.name], f.max_values) for f in fields})


def _same_text(numbers: Any) -> Any:
    """Whole numbers without leading zeros, so that one number is one value."""
    return numbers.cast(pa.int64()).cast(pa.string())


def _part(rows: NDArray[np.int64], text: Any, chosen: NDArray[np.bool_], width: int | None) -> FieldValues:
    return FieldValues(rows[chosen], text.filter(pa.array(chosen)), width)


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
