"""Checked float64 arrays: what every number of this package is computed from."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnn_gluon.arrays import Floats
from pnn_gluon.errors import InputError


def label_array(label: ArrayLike) -> Floats:
    """Labels 0 or 1 as float64 (B,).

    Raises:
        InputError: for another shape or any other value.
    """
    array = _vector(label, "label")
    wrong = np.flatnonzero((array != 0) & (array != 1))
    if wrong.size:
        raise _refused("label", "0 or 1", array, wrong, "map the label to 0 and 1 first")
    return array


def score_array(score: ArrayLike, rows: int | None = None) -> Floats:
    """Scores of any scale as float64 (B,); infinite ones are allowed, they have a rank.

    Raises:
        InputError: for NaN, another shape, or a number of scores other than rows.
    """
    array = _vector(score, "score", rows)
    wrong = np.flatnonzero(np.isnan(array))
    if wrong.size:
        raise _refused("score", "a number", array, wrong, "look at the model's weights and at the learning rate")
    return array


def probability_array(probability: ArrayLike, rows: int | None = None) -> Floats:
    """Probabilities in [0, 1] as float64 (B,).

    Raises:
        InputError: for NaN, values outside [0, 1], another shape, or a number of values other than rows.
    """
    array = _vector(probability, "probability", rows)
    wrong = np.flatnonzero(~((array >= 0) & (array <= 1)))
    if wrong.size:
        raise _refused("probability", "a value in [0, 1]", array, wrong, "pass probabilities, not logits")
    return array


def logit_array(logit: ArrayLike, rows: int | None = None) -> Floats:
    """Finite logits as float64 (B,).

    Raises:
        InputError: for NaN, infinite values, another shape, or a number of logits other than rows.
    """
    array = _vector(logit, "logit", rows)
    wrong = np.flatnonzero(~np.isfinite(array))
    if wrong.size:
        raise _refused("logit", "a finite number", array, wrong, "look at the model's weights and at the learning rate")
    return array


def weight_array(weight: ArrayLike | None, rows: int) -> Floats:
    """Weights >= 0 as float64 (B,); ones when there is no weight.

    Raises:
        InputError: for NaN, infinite or negative weights, another shape, or a number of weights other than rows.
    """
    if weight is None:
        return np.ones(rows)
    array = _vector(weight, "weight", rows)
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if wrong.size:
        raise _refused("weight", "a finite value >= 0", array, wrong, "count such rows as 0 or leave them out")
    return array


def class_weights(label: ArrayLike, weight: ArrayLike | None) -> tuple[Floats, Floats]:
    """What each row counts as a click (B,) and as a non-click (B,): labels 0 or 1 (B,), weights (B,) or none.

    Raises:
        InputError: for what `label_array` and `weight_array` refuse.
    """
    y = label_array(label)
    if weight is None:
        return y, 1 - y
    w = weight_array(weight, y.size)
    return w * y, w * (1 - y)


def count_arrays(clicks: ArrayLike, impressions: ArrayLike) -> tuple[Floats, Floats]:
    """Clicks (B,) and non-clicks (B,) of the rows of an aggregated log.

    Raises:
        InputError: for counts that are negative or not finite, more clicks than impressions, or lengths that differ.
    """
    shown = weight_array(impressions, _vector(impressions, "impressions").size)
    clicked = weight_array(clicks, shown.size)
    wrong = np.flatnonzero(clicked > shown)
    if wrong.size:
        raise _refused("clicks", "at most the impressions of the row", clicked, wrong, "look at how they are joined")
    return clicked, shown - clicked


def _vector(values: ArrayLike, name: str, rows: int | None = None) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or rows not in {None, array.size}:
        expected = "(B,)" if rows is None else f"({rows},), one for each label"
        raise InputError(f"{name}: expected shape {expected}, received {array.shape}; pass one value for each row")
    return array


def _refused(name: str, expected: str, array: Floats, wrong: NDArray[np.intp], advice: str) -> InputError:
    first = int(wrong[0])
    return InputError(
        f"{name}: expected {expected}, received {array[first]} at row {first} "
        f"({wrong.size} such rows of {array.size}); {advice}"
    )
