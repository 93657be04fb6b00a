"""The area under the ROC curve, exact and mergeable."""

from dataclasses import dataclass
from functools import cached_property
from math import nan
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.arrays import score_array
from pnn_gluon.evaluation.row_metric import RowMetric

Columns: TypeAlias = tuple[Floats, ...]


@dataclass(frozen=True, eq=False)
class ScoreRun:
    """Distinct scores in ascending order with the weight of positives and negatives at each."""

    score: Floats  # (D,)
    positive: Floats  # (D,)
    negative: Floats  # (D,)

    @classmethod
    def of(cls, score: Floats, positive: Floats, negative: Floats) -> Self:
        """Sort scores in any order (B,), and add up those that are equal."""
        return cls._of((score,), (positive,), (negative,))

    @classmethod
    def _of(cls, score: Columns, positive: Columns, negative: Columns) -> Self:
        """The same of columns in pieces, put together one after the other: a day's rows are much memory."""
        whole = np.concatenate(score)
        order = np.argsort(whole, kind="stable")
        whole = whole[order]
        first = np.concatenate(([True], whole[1:] != whole[:-1]))
        if first.all():
            return cls(whole, *(np.concatenate(weight)[order] for weight in (positive, negative)))
        whole, start = whole[first], np.flatnonzero(first)
        return cls(whole, *(np.add.reduceat(np.concatenate(w)[order], start) for w in (positive, negative)))

    def merge(self, other: "ScoreRun") -> "ScoreRun":
        """The scores of both."""
        return ScoreRun._of((self.score, other.score), (self.positive, other.positive), (self.negative, other.negative))

    def area(self) -> float:
        """The area under the ROC curve; NaN when a class is missing."""
        below = np.cumsum(self.negative) - self.negative / 2  # (D,) negatives below, half of those equal
        pairs = float(self.positive.sum()) * float(self.negative.sum())
        return float(np.sum(self.positive * below)) / pairs if pairs else nan


@dataclass(frozen=True, eq=False)
class Auc(RowMetric):
    """Area under the ROC curve, exact: the chance that a positive scores above a negative, ties count half.

        AUC = sum_{i: y=1} sum_{j: y=0} w_i w_j ([s_i > s_j] + [s_i = s_j] / 2) / (W_pos W_neg)

    The score may be the logit or the probability; a strictly increasing transform leaves the value as it is.
    State: sorted runs of distinct scores, merged when neighbours are of like size, so that n rows in any number
    of batches cost O(n log n) in all. NaN unless both classes have weight.
    """

    runs: tuple[ScoreRun, ...] = ()

    def add(self, positive: Floats, negative: Floats, probability: ArrayLike) -> Self:
        """Add rows by their weight of clicks (B,) and of non-clicks (B,)."""
        score = score_array(probability, positive.size)
        return self + type(self)((ScoreRun.of(score, positive, negative),)) if score.size else self

    def __add__(self, other: Self) -> Self:
        runs: list[ScoreRun] = []
        for run in self.runs + other.runs:
            runs.append(run)
            while len(runs) > 1 and runs[-2].score.size < 2 * runs[-1].score.size:
                last = runs.pop()
                runs[-1] = runs[-1].merge(last)
        return type(self)(tuple(runs))

    def distinct(self) -> int:
        """How many different scores there are."""
        whole = self.whole
        return 0 if whole is None else whole.score.size

    @cached_property
    def whole(self) -> ScoreRun | None:
        """All scores as one run; None without rows."""
        if not self.runs:
            return None
        whole = self.runs[-1]
        for run in reversed(self.runs[:-1]):
            whole = run.merge(whole)
        return whole

    def value(self) -> float:
        """The area, from 0 to 1; NaN when a class is missing."""
        whole = self.whole
        return nan if whole is None else whole.area()
