"""What the checks keep of a day's rows: a small sum, so that days and parts of a day add up.

Numbers are counted in cells that are the same for all data: 0 has one, and every octave from 2^(e-1) to 2^e, of either
sign, has eight of equal width. They follow from the bits of a number, so every machine finds the same ones.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pnn_gluon.checks.field_statistics import Numbers
from pnn_gluon.config import Fields
from pnn_gluon.errors import InputError
from pnn_gluon.store.parts import Files, listed

K = TypeVar("K", str, int)

CELLS = 8
"""Cells of an octave."""

_LEAST_EXPONENT = -1073
"""`frexp`'s exponent of the smallest positive float64."""


@dataclass(frozen=True)
class DayProfile:
    """Sums over rows, which count by their weights where they have any.

    Attributes:
        rows: their number, or that of their impressions.
        clicks: of them, those with label 1.
        rejects: lines that were set aside.
        lines: lines that became rows, where these stand for many impressions; 0 where each row has a line of its own.
        missing: rows without a value, by field.
        numbers: rows by cell, by numeric field.
    """

    rows: int = 0
    clicks: int = 0
    rejects: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)
    numbers: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    lines: int = 0

    @property
    def read(self) -> int:
        """All lines, good and bad."""
        return (self.lines or self.rows) + self.rejects

    def __add__(self, other: "DayProfile") -> "DayProfile":
        """The profile of the rows of both."""
        names = sorted(self.numbers.keys() | other.numbers.keys())
        return DayProfile(
            self.rows + other.rows,
            self.clicks + other.clicks,
            self.rejects + other.rejects,
            _sum(self.missing, other.missing),
            {name: _sum(self.numbers.get(name, {}), other.numbers.get(name, {})) for name in names},
            self.lines + other.lines,
        )

    def save(self, path: Path) -> None:
        """Write it as JSON, in which a field's cells are pairs in order."""
        numbers = {name: sorted(cells.items()) for name, cells in self.numbers.items()}
        told = {name: value for name, value in self.__dict__.items() if value or name != "lines"}
        path.write_text(json.dumps({**told, "numbers": numbers}, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read it back."""
        told = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**told, "numbers": {name: dict(cells) for name, cells in told["numbers"].items()}})


def profile_rows(
    fields: Fields, rows: Files, rejects: int, weighted: bool = False, numbers: Mapping[str, Numbers] | None = None
) -> DayProfile:
    """The profile of typed rows, of logs or of requests, which have no label and no weight, in one pass.

    Args:
        fields: Of the rows.
        rows: Files of them.
        rejects: Lines beside them that were set aside.
        weighted: Whether rows count by their weight.
        numbers: By numeric field, to what its numbers are added; by default to nothing.

    Raises:
        InputError: the rows are not there or lack a field.
    """
    found = DayProfile(rejects=rejects)
    for path in listed(rows):
        try:
            with pq.ParquetFile(path) as file:
                for each in _profiles(file, fields, weighted, numbers or {}):
                    found += each
        except (OSError, KeyError) as error:
            raise InputError(f"{path}: can't be read: {error}; ingest the day with the present fields again") from error
    return found


def _profiles(
    file: pq.ParquetFile, fields: Fields, weighted: bool, numbers: Mapping[str, Numbers]
) -> Iterator[DayProfile]:
    """What adds up to the profile of a file: its footer tells how many rows have no text, unless rows have weights."""
    numeric = [field.name for field in fields if field.kind == "numeric"]
    empty = {} if weighted else _told_empty(file, [field.name for field in fields if field.kind != "numeric"])
    yield DayProfile(missing=empty)
    read = [field.name for field in fields if field.name not in empty]
    labels = [name for name in ("label",) if name in file.schema_arrow.names]
    for batch in file.iter_batches(columns=[*labels, *(["weight"] if weighted else []), *read]):
        yield _of_batch(batch, read, numeric, batch["weight"].to_numpy() if weighted else None, numbers)


def _told_empty(file: pq.ParquetFile, names: list[str]) -> dict[str, int]:
    """How many rows have no value in a column, where every group of rows says so, by the column's name."""
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    columns = {name: number for number, name in enumerate(file.schema_arrow.names)}
    told: dict[str, int] = {}
    for name in names:
        found = [group.column(columns[name]).statistics for group in groups]
        if all(each is not None and each.has_null_count for each in found):
            told[name] = sum(each.null_count for each in found)
    return told


def _of_batch(
    batch: pa.RecordBatch,
    names: list[str],
    numeric: list[str],
    weight: npt.NDArray[np.int64] | None,
    numbers: Mapping[str, Numbers],
) -> DayProfile:
    counted: dict[str, dict[int, int]] = {}
    missing: dict[str, int] = {}
    for name in names:
        if name in numeric:
            values = batch[name].to_numpy(zero_copy_only=False).astype(np.float64)  # NULL is NaN
            empty = np.isnan(values)
            counted[name] = _counted(cells(values[~empty]), None if weight is None else weight[~empty])
            if name in numbers:
                numbers[name].add(values, weight)
        else:
            empty = batch[name].is_null().to_numpy(zero_copy_only=False)
        missing[name] = _rows(empty, weight)
    clicked = batch["label"].to_numpy() == 1 if "label" in batch.schema.names else np.zeros(batch.num_rows, bool)
    return DayProfile(_rows(np.ones_like(clicked), weight), _rows(clicked, weight), 0, missing, counted)


def _rows(which: npt.NDArray[np.bool_], weight: npt.NDArray[np.int64] | None) -> int:
    """How many rows these are, by their weight if they have one."""
    return int(np.count_nonzero(which) if weight is None else weight[which].sum())


def cells(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The cell of each number (n,): rising with it, 0 for 0; an infinite one is in the last.

    >>> cells(np.array([-1.0, 0.0, 1.0, 1.1, 1.125, 2.0])).tolist()
    [-8593, 0, 8593, 8593, 8594, 8601]
    """
    largest = np.finfo(np.float64).max
    size, exponent = np.frexp(np.abs(np.clip(values, -largest, largest)))  # size in [1/2, 1)
    within = np.floor((size - 0.5) * 2 * CELLS).astype(np.int64)
    cell = (exponent.astype(np.int64) - _LEAST_EXPONENT) * CELLS + within + 1
    return np.where(values == 0, 0, np.sign(values).astype(np.int64) * cell)


def edge(cell: int) -> float:
    """The number of a cell that is nearest to 0.

    >>> [edge(cell) for cell in (-8593, 0, 8593, 8594)]
    [-1.0, 0.0, 1.0, 1.125]
    """
    if cell == 0:
        return 0.0
    octave, within = divmod(abs(cell) - 1, CELLS)
    size = float(np.ldexp(0.5 + within / (2 * CELLS), octave + _LEAST_EXPONENT))
    return size if cell > 0 else -size


def _counted(found: npt.NDArray[np.int64], weight: npt.NDArray[np.int64] | None = None) -> dict[int, int]:
    """Rows by cell."""
    if not len(found):
        return {}
    least = int(found.min())
    counts = np.bincount(found - least, weight).astype(np.int64)  # weights add up exactly below 2^53
    (where,) = np.nonzero(counts)
    return dict(zip((where + least).tolist(), counts[where].tolist(), strict=True))


def _sum(one: Mapping[K, int], other: Mapping[K, int]) -> dict[K, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in sorted(one.keys() | other.keys())}
