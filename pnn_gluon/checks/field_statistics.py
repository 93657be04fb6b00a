"""What the fields of a day hold, in a few numbers each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pnn_gluon.config import Fields

Told: TypeAlias = dict[str, float | int]


@dataclass
class Numbers:
    """Of the finite values of a field: their number, or weight, extremes, and number and mean of each batch."""

    count: int = 0
    least: float = math.inf
    greatest: float = -math.inf
    means: list[tuple[int, float]] = field(default_factory=list)

    def add(self, values: npt.NDArray[np.float64], weight: npt.NDArray[np.int64] | None) -> None:
        """Count the finite values of a batch, by their weight if they have one."""
        finite = np.isfinite(values)
        values, weight = values[finite], None if weight is None else weight[finite]
        if len(values):
            count = len(values) if weight is None else int(weight.sum())
            self.count += count
            self.least = min(self.least, float(values.min()))
            self.greatest = max(self.greatest, float(values.max()))
            parts = values / count if weight is None else values * (weight / count)  # large values may have no sum
            self.means.append((count, float(np.sum(parts))))


def field_statistics(
    fields: Fields, numbers: Mapping[str, Numbers], missing: Mapping[str, int], distinct: Mapping[str, int]
) -> dict[str, Told]:
    """By field: `missing`, rows without a value; `distinct`, values; `least`, `greatest`, `mean` of finite numbers.

    Args:
        fields: Of the rows.
        numbers: What `profile_rows` found of the fields that are numbers.
        missing: Rows without a value, by field; by their weight where they have one.
        distinct: How many values each field that is no number has.
    """
    told: dict[str, Told] = {field.name: {"missing": missing[field.name]} for field in fields}
    for name, found in told.items():
        if name in distinct:
            found["distinct"] = distinct[name]
        if name in numbers and numbers[name].count:
            found |= _told(numbers[name])
    return told


def _told(found: Numbers) -> Told:
    mean = math.fsum(mean * (count / found.count) for count, mean in found.means)
    inside = min(max(mean, found.least), found.greatest)  # but for rounding it is
    return {"least": found.least, "greatest": found.greatest, "mean": inside}
