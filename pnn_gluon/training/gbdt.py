"""Fitting gradient boosted trees to streamed rows, with early stopping."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.blocks.id_numbers import IdNumbers
from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.errors import ConfigError, InputError, PnnError
from pnn_gluon.models.gbdt import GBDT, GBDTOptions

Rows = Callable[[], Iterable[tuple[NDArray[np.int32], NDArray[Any], *tuple[NDArray[np.float32], ...]]]]
"""A pass over the rows, always the same: ids int32 (B, S), labels 0 or 1 (B,), weights (B,) or none, batch by batch."""

CACHED_NODES = 64
"""Nodes whose histograms XGBoost keeps, of 32 N x bins bytes each; all nodes of a deep tree would take gigabytes."""

REPORT_EVERY = 50
"""Trees between two calls of `progress`."""


@dataclass(frozen=True)
class Validation:
    """What early stopping looks at after each tree.

    Attributes:
        rows: Rows that are not trained on.
        loss: Labels, logits and, where rows have them, weights, float32 (rows,) each -> the lower, the better.
        patience: Trees in a row without a better value before training stops.

    Raises:
        ConfigError: a patience below 1.
    """

    rows: Rows
    loss: Callable[..., float]
    patience: int = 10

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ConfigError(f"gbdt: patience must be 1 or more, not {self.patience}")


@dataclass(frozen=True)
class Fitted:
    """A fitted model and how it came about.

    Attributes:
        model: The trees up to the best one (all of them without validation).
        examples: Training rows.
        history: Value of the validation after each tree that was fitted.
    """

    model: GBDT
    examples: int
    history: tuple[float, ...]


def in_memory(ids: NDArray[np.int32], label: NDArray[Any], batch_size: int = 1 << 16) -> Rows:
    """Rows that are in memory: ids int32 (rows, S) and labels 0 or 1 (rows,)."""

    def rows() -> Iterator[tuple[NDArray[np.int32], NDArray[Any]]]:
        for start in range(0, len(ids), batch_size):
            yield ids[start : start + batch_size], label[start : start + batch_size]

    return rows


DEFAULTS = GBDTOptions()
"""The options of `train_gbdt` unless it is told others."""


def train_gbdt(
    layout: FieldLayout,
    size: int,
    rows: Rows,
    options: GBDTOptions = DEFAULTS,
    *,
    validation: Validation | None = None,
    seed: int = 1,
    progress: Callable[[int, float | None], None] | None = None,
) -> Fitted:
    """Fit trees to log loss; the model ends with the best tree by `validation`.

    Rows are read several times: once for the counts of ids, then by XGBoost, which keeps of each row only the bins of
    its 2 N numbers, of one byte each up to 256 bins and of two up to 65536. Equal rows, batches, options and seed give
    a model of equal bytes.

    Args:
        layout: The fields of a row.
        size: Number of ids V; every id is below it.
        rows: The training rows.
        options: The trees.
        validation: What early stopping looks at; without it all trees are fitted.
        seed: Decides the draws of `subsample`.
        progress: Called now and then with the number of trees and the value of the validation.

    Raises:
        InputError: no rows, rows of another width, an id outside [0, V), or what `rows` raises.
        PnnError: the value of the validation is not finite.
    """
    numbers = IdNumbers.counted(layout, size, ((ids, *weights) for ids, _, *weights in rows()))
    matrix = _matrix(numbers, rows, options.bins)
    held_out = None if validation is None else _matrix(numbers, validation.rows, options.bins, matrix)
    booster = _booster(options, seed, matrix, held_out)
    judge = _Judge(booster, held_out, validation)
    for tree in range(options.trees):
        booster.update(matrix, tree)
        value = judge.value()
        if progress is not None and (tree + 1) % REPORT_EVERY == 0:
            progress(tree + 1, value)
        if judge.out_of_patience():
            break
    return Fitted(GBDT(numbers, booster[: judge.best_trees()]), int(matrix.num_row()), tuple(judge.history))


def _booster(options: GBDTOptions, seed: int, matrix: Any, held_out: Any) -> Any:
    import xgboost as xgb

    settings = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_depth": options.depth,
        "eta": options.shrinkage,
        "min_child_weight": options.min_child_weight,
        "subsample": options.subsample,
        "max_bin": options.bins,
        "max_cached_hist_node": CACHED_NODES,
        "seed": seed,
    }
    return xgb.Booster(settings, [matrix] if held_out is None else [matrix, held_out])


def _matrix(numbers: IdNumbers, rows: Rows, bins: int, reference: Any = None) -> Any:
    """The rows' numbers in bins, with the cuts of `reference` if there is one."""
    import xgboost as xgb

    class Passes(xgb.DataIter):  # type: ignore[misc]  # xgboost has no types
        """Hands over the rows' numbers, pass after pass."""

        def __init__(self) -> None:
            super().__init__()
            self.left: Iterator[tuple[NDArray[np.int32], NDArray[Any], *tuple[NDArray[np.float32], ...]]] = iter(())

        def reset(self) -> None:
            self.left = iter(rows())

        def next(self, input_data: Callable[..., None]) -> bool:
            batch = next(self.left, None)
            if batch is None:
                return False
            ids, label, *weights = batch
            weighing = {"weight": weights[0]} if weights else {}
            input_data(data=numbers(ids), label=label.astype(np.float32), **weighing)
            return True

    if not any(len(label) for _, label, *_ in rows()):
        raise InputError("gbdt: no rows to train or validate on, expected at least one")
    return xgb.QuantileDMatrix(Passes(), max_bin=bins, ref=reference)


class _Judge:
    """Values of the validation, tree by tree."""

    def __init__(self, booster: Any, held_out: Any, validation: Validation | None) -> None:
        self._booster, self._held_out, self._validation = booster, held_out, validation
        self._label = np.empty(0, np.float32) if held_out is None else held_out.get_label()
        weight = np.empty(0, np.float32) if held_out is None else held_out.get_weight()
        self._weights = (weight,) if len(weight) else ()
        self.history: list[float] = []

    def value(self) -> float | None:
        """The value with the trees so far; XGBoost keeps the sums of earlier trees."""
        if self._validation is None:
            return None
        logit = self._booster.predict(self._held_out, output_margin=True)
        value = float(self._validation.loss(self._label, logit, *self._weights))
        if not isfinite(value):
            raise PnnError(
                f"gbdt: validation after tree {len(self.history) + 1} gave {value}, expected a finite number"
            )
        self.history.append(value)
        return value

    def out_of_patience(self) -> bool:
        return self._validation is not None and len(self.history) - self.best_trees() >= self._validation.patience

    def best_trees(self) -> int:
        """Number of trees with the best value, the fewest of equally good ones."""
        if not self.history:
            return int(self._booster.num_boosted_rounds())
        return self.history.index(min(self.history)) + 1
