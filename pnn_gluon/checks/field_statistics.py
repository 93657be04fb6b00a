"""What the fields of a day hold, in a few numbers each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pnn_gluon.config import Fields
from pnn_gluon.store.parts import Files, listed

Told: TypeAlias = dict[str, float | int]


@dataclass
class _Numbers:
    """Of the finite values of a field: their number, or weight, extremes, and number and mean of each batch."""

    count: int
    least: float
    greatest: float
    means: list[tuple[int, float]]

    def add(self, values: npt.NDArray[np.float64], weight: npt.NDArray[np.int64] | None) -> None:
        """Count the values of a batch, by their weight if they have one."""
        if len(values):
            count = len(values) if weight is None else int(weight.sum())
            self.count += count
            self.least = min(self.least, float(values.min()))
            self.greatest = max(self.greatest, float(values.max()))
            parts = values / count if weight is None else values * (weight / count)  # large values may have no sum
            self.means.append((count, float(np.sum(parts))))


def field_statistics(
    fields: Fields, rows: Files, missing: Mapping[str, int], distinct: Mapping[str, int], weighted: bool = False
) -> dict[str, Told]:
    """By field: `missing`, rows without a value; `distinct`, values; `least`, `greatest`, `mean` of finite numbers.

    Args:
        fields: Of the rows.
        rows: Typed rows.
        missing: Rows without a value, by field.
        distinct: How many values each field that is no number has.
        weighted: Whether rows count by their weight; so then do the rows without a value.
    """
    numbers = {field.name: _Numbers(0, math.inf, -math.inf, []) for field in fields if field.kind == "numeric"}
    for path in listed(rows) if numbers else ():
        _read(path, numbers, weighted)
    told: dict[str, Told] = {field.name: {"missing": missing[field.name]} for field in fields}
    for name, found in told.items():
        if name in distinct:
            found["distinct"] = distinct[name]
        if name in numbers and numbers[name].count:
            found |= _told(numbers[name])
    return told


def _read(path: Path, numbers: Mapping[str, _Numbers], weighted: bool) -> None:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=[*numbers, *(["weight"] if weighted else [])]):
            weight = batch["weight"].to_numpy() if weighted else None
            for name, found in numbers.items():
                values = pc.cast(batch[name], pa.float64()).to_numpy(zero_copy_only=False)  # NULL is NaN
                finite = np.isfinite(values)
                found.add(values[finite], None if weight is None else weight[finite])


def _told(found: _Numbers) -> Told:
    mean = math.fsum(mean * (count / found.count) for count, mean in found.means)
    inside = min(max(mean, found.least), found.greatest)  # but for rounding it is
    return {"least": found.least, "greatest": found.greatest, "mean": inside}
