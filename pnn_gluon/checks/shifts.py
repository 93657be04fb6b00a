"""The counts of two sides, value by value: what the checks ask of fields whose values are counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pnn_gluon.checks.chance import LEAST, Counts
from pnn_gluon.config import EngineConfig
from pnn_gluon.warehouse.duckdb_engine import connect, statement

MOST = 100
"""Values of a field that are compared one by one; all others are one cell."""


@dataclass(frozen=True)
class Shift:
    """The values of a field on both sides.

    Attributes:
        values: the commonest ones on both sides together (k - 1,).
        today: impressions of each, then of all others together (k,).
        before: the same on the other side (k,).
        new: impressions today of values that the other side lacks.
        pooled: the numbers of impressions on both sides together that values have (j,).
        number: how many values have each (j,).
    """

    values: tuple[str, ...]
    today: Counts
    before: Counts
    new: int
    pooled: Counts
    number: Counts


def shifts(engine: EngineConfig, today: Sequence[Path], before: Sequence[Path]) -> dict[str, Shift]:
    """The shift of each field that has values on both sides.

    Args:
        engine: Limits of DuckDB, which spills what does not fit.
        today: Counts as `pnn_gluon.data.counting` writes them.
        before: The same of the other side, to be added up.
    """
    with connect(engine) as connection:
        connection.execute(statement("paired_counts", today=_texts(today), before=_texts(before)))
        sizes = connection.sql(statement("paired_sizes")).fetchnumpy()
        common = connection.sql(statement("paired_common", least=LEAST, most=MOST)).fetchnumpy()
    found = {name: _shift(_of(sizes, name), _of(common, name)) for name in dict.fromkeys(sizes["field"].tolist())}
    return {name: shift for name, shift in found.items() if shift.today.sum() and shift.before.sum()}


def _texts(paths: Sequence[Path]) -> list[str]:
    return [str(path) for path in paths]


def _of(table: dict[str, Any], field: str) -> dict[str, npt.NDArray[Any]]:
    rows = np.asarray(table["field"]) == field
    return {name: np.asarray(column)[rows] for name, column in table.items()}


def _shift(sizes: dict[str, npt.NDArray[Any]], common: dict[str, npt.NDArray[Any]]) -> Shift:
    today = int(sizes["today"].sum())
    before = int((sizes["pooled"] * sizes["number"]).sum()) - today
    cells = np.stack([common["today"], common["before"]]).astype(np.int64)  # (2, k)
    rest = np.array([[today], [before]]) - cells.sum(axis=1, keepdims=True)
    if rest.sum() * min(today, before) < LEAST * (today + before) and cells.size:
        cells, rest = cells[:, :-1], cells[:, -1:] + rest
    cells = np.concatenate([cells, rest], axis=1)
    values = tuple(map(str, common["value"][: cells.shape[1] - 1].tolist()))
    return Shift(values, cells[0], cells[1], int(sizes["new"].sum()), sizes["pooled"], sizes["number"])
