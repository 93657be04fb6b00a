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
import pyarrow.compute as pc
import pyarrow.parquet as pq

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


def profile_rows(fields: Fields, rows: Files, rejects: int, weighted: bool = False) -> DayProfile:
    """The profile of typed rows, of logs or of requests, which have no label and no weight, in one pass.

    Raises:
        InputError: the rows are not there or lack a field.
    """
    numeric = {field.name for field in fields if field.kind == "numeric"}
    names = [field.name for field in fields]
    found = DayProfile(rejects=rejects)
    for path in listed(rows):
        for batch in _batches(path, names, numeric, weighted):
            found += _of_batch(batch, names, numeric, weighted)
    return found


def _batches(path: Path, names: list[str], numeric: set[str], weighted: bool) -> Iterator[pa.RecordBatch]:
    """The columns of fields and, where there is one, of the label, and the weight."""
    try:
        with pq.ParquetFile(path, read_dictionary=[name for name in names if name not in numeric]) as file:
            labels = [name for name in ("label",) if name in file.schema_arrow.names]
            yield from file.iter_batches(columns=[*labels, *(["weight"] if weighted else []), *names])
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: can't be read: {error}; ingest the day with the present fields again") from error


def _of_batch(batch: pa.RecordBatch, names: list[str], numeric: set[str], weighted: bool) -> DayProfile:
    if weighted:
        return _of_weighted(batch, names, numeric)
    clicks = pc.sum(batch["label"]).as_py() or 0 if "label" in batch.schema.names else 0
    missing: dict[str, int] = {}
    numbers: dict[str, dict[int, int]] = {}
    for name in names:
        if name in numeric:
            values = batch[name].to_numpy(zero_copy_only=False).astype(np.float64)  # NULL is NaN
            given = values[~np.isnan(values)]
            missing[name], numbers[name] = len(values) - len(given), _counted(cells(given))
        else:
            missing[name] = batch[name].null_count
    return DayProfile(batch.num_rows, clicks, 0, missing, numbers)


def _of_weighted(batch: pa.RecordBatch, names: list[str], numeric: set[str]) -> DayProfile:
    weight = batch["weight"].to_numpy()
    clicks = int(weight[batch["label"].to_numpy() == 1].sum())
    missing: dict[str, int] = {}
    numbers: dict[str, dict[int, int]] = {}
    for name in names:
        empty = batch[name].is_null().to_numpy(zero_copy_only=False)
        if name in numeric:
            values = batch[name].to_numpy(zero_copy_only=False).astype(np.float64)
            empty = np.isnan(values)
            numbers[name] = _counted(cells(values[~empty]), weight[~empty])
        missing[name] = int(weight[empty].sum())
    return DayProfile(int(weight.sum()), clicks, 0, missing, numbers)


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
    values, where, counts = np.unique(found, return_inverse=True, return_counts=True)
    if weight is not None:
        counts = np.zeros(len(values), np.int64)
        np.add.at(counts, where, weight)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _sum(one: Mapping[K, int], other: Mapping[K, int]) -> dict[K, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in sorted(one.keys() | other.keys())}
