"""From a model's logit to a natural probability: the exact sampling correction, then a fitted calibrator.

Every calibrator keeps the order of its inputs (a larger logit never gets a smaller probability), depends on the
rows it was fitted on and not on their order, and survives JSON bit for bit.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import Floats, label_array, logit_array

Method = Literal["isotonic", "platt", "none"]

MINIMUM_ROWS: Mapping[str, int] = {"isotonic": 100, "platt": 20, "none": 0}
"""Rows below which a fit says more about chance than about the model."""


def correct_sampling(logit: ArrayLike, rate: float) -> Floats:
    """The natural logit of a model trained with its negatives kept at rate r: logit p = logit q + ln r.

    It is p = q r / (1 - q (1 - r)) written in logits, exact at any magnitude; rate 1 changes nothing.

    Raises:
        InputError: for a rate outside (0, 1].
    """
    if not 0 < rate <= 1:
        raise InputError(f"sampling rate: expected 0 < rate <= 1, received {rate}; use the rate stored with the sample")
    corrected: Floats = np.asarray(logit, dtype=np.float64) + np.log(rate)
    return corrected


def sigmoid(logit: ArrayLike) -> Floats:
    """1 / (1 + exp(-x)) in float64: non-decreasing also in its rounding, full relative precision, 0 below -709.8.

    Not exp(x) / (1 + exp(x)) for negative x: its rounding can put the larger of two neighbours first.
    """
    with np.errstate(over="ignore"):
        result: Floats = 1 / (1 + np.exp(-np.asarray(logit, dtype=np.float64)))
    return result


class Calibrator(Protocol):
    """A non-decreasing map from corrected logits to probabilities."""

    def probability(self, corrected_logit: ArrayLike) -> Floats:
        """Probabilities of corrected logits, both of the same shape, float64."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """A description fit for JSON, from which `calibrator_from_dict` makes an equal calibrator."""
        ...


@dataclass(frozen=True)
class NoCalibration:
    """The sigmoid of the corrected logit as it is."""

    def probability(self, corrected_logit: ArrayLike) -> Floats:
        """sigmoid(x), any shape."""
        return sigmoid(corrected_logit)

    def to_dict(self) -> dict[str, Any]:
        """The method's name."""
        return {"method": "none"}


@dataclass(frozen=True)
class PlattCalibration:
    """A scale and a shift of the logit: p = sigmoid(scale x + shift), scale >= 0."""

    scale: float
    shift: float

    def probability(self, corrected_logit: ArrayLike) -> Floats:
        """sigmoid(scale x + shift), any shape."""
        return sigmoid(self.scale * np.asarray(corrected_logit, dtype=np.float64) + self.shift)

    def to_dict(self) -> dict[str, Any]:
        """The method's name, scale and shift."""
        return {"method": "platt", **asdict(self)}


@dataclass(frozen=True)
class IsotonicCalibration:
    """A non-decreasing line through (logit_k, probability_k); constant beyond the first and the last."""

    logit: tuple[float, ...]  # strictly increasing
    probability_at: tuple[float, ...]  # non-decreasing, inside (0, 1)

    def probability(self, corrected_logit: ArrayLike) -> Floats:
        """Linear interpolation, any shape; each step is rounded monotonically, so order holds to the last bit."""
        knot, level = np.asarray(self.logit), np.asarray(self.probability_at)
        x = np.clip(np.asarray(corrected_logit, dtype=np.float64), knot[0], knot[-1])
        left = np.searchsorted(knot, x, side="right") - 1
        right = np.minimum(left + 1, knot.size - 1)
        width = np.where(right > left, knot[right] - knot[left], 1.0)
        risen = level[left] + (x - knot[left]) / width * (level[right] - level[left])
        result: Floats = np.minimum(risen, level[right])
        return result

    def to_dict(self) -> dict[str, Any]:
        """The method's name and the points of the line."""
        return {"method": "isotonic", "logit": list(self.logit), "probability": list(self.probability_at)}


def fit_calibrator(method: Method, corrected_logit: ArrayLike, label: ArrayLike) -> Calibrator:
    """Fit on rows at the natural rate that the model was not trained on.

    Equal rows give equal bytes in whatever order they come: they are sorted first.

    Raises:
        InputError: for an unknown method, logits that are not finite, labels other than 0 and 1, fewer rows than
            MINIMUM_ROWS, or (but for method none) a class that is missing.
    """
    if method not in MINIMUM_ROWS:
        raise InputError(f"calibration method: expected isotonic, platt or none, received {method!r}")
    if method == "none":
        return NoCalibration()
    y = label_array(label)
    x = logit_array(corrected_logit, y.size)
    _check_enough(method, y)
    order = np.lexsort((y, x))
    fit: Callable[[Floats, Floats], Calibrator] = fit_isotonic if method == "isotonic" else fit_platt
    return fit(x[order] + 0.0, y[order])  # + 0.0 turns -0.0 into 0.0: they are one value


def _check_enough(method: str, label: Floats) -> None:
    advice = 'use calibration method "none", or a larger calibrate share or window'
    positives = int(label.sum())
    if label.size < MINIMUM_ROWS[method]:
        raise InputError(
            f"{method} calibration: expected at least {MINIMUM_ROWS[method]} rows, received {label.size}; {advice}"
        )
    if positives in {0, label.size}:
        raise InputError(
            f"{method} calibration: expected clicks and non-clicks, received {positives} clicks "
            f"in {label.size} rows; {advice}"
        )


def fit_platt(logit: Floats, label: Floats) -> PlattCalibration:
    """The scale and shift of least log loss against smoothed targets, by Newton steps with halving.

    Targets (N+ + 1) / (N+ + 2) and 1 / (N- + 2) keep separable rows finite. A model that ranks backwards gets
    scale 0, the best that keeps the order. Source: Platt 1999; Lin, Lin and Weng 2007, algorithm 1.
    """
    positives = label.sum()
    target = np.where(label == 1, (positives + 1) / (positives + 2), 1 / (label.size - positives + 2))
    centre = logit.mean()
    spread = logit.std() or 1.0
    scale, shift = _newton((logit - centre) / spread, target)
    if scale <= 0:
        rate = target.mean()
        return PlattCalibration(0.0, float(np.log(rate) - np.log1p(-rate)))
    return PlattCalibration(float(scale / spread), float(shift - scale * centre / spread))


def _newton(x: Floats, target: Floats) -> Floats:
    """(scale, shift) at the minimum of the mean of log(1 + exp(z)) - t z, z = scale x + shift.

    Plain sums instead of matrix products: those may round differently with another number of threads.
    """

    def loss(theta: Floats) -> float:
        z = theta[0] * x + theta[1]
        return float(np.mean(np.logaddexp(0, z) - target * z))

    theta = np.array([0.0, np.log(target.mean() / (1 - target.mean()))])
    for _ in range(100):
        p = sigmoid(theta[0] * x + theta[1])
        error, curve = p - target, p * (1 - p)
        cross = np.mean(curve * x)
        hessian = np.array([[np.mean(curve * x * x), cross], [cross, np.mean(curve)]]) + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, np.array([np.mean(error * x), np.mean(error)]))
        while np.abs(step).max() > 1e-6 and loss(theta - step) >= loss(theta):
            step /= 2
        theta = theta - step
        if np.abs(step).max() <= 1e-9:  # the error left is about its square
            return theta
    raise InputError(
        f"platt calibration: no minimum after 100 Newton steps on {x.size} rows; use method isotonic or none"
    )


def fit_isotonic(logit: Floats, label: Floats) -> IsotonicCalibration:
    """Pool adjacent violators on sorted rows; the line joins both ends of each block at the block's click rate.

    Rows of equal logit are one point. A first block without clicks and a last block without non-clicks would give
    probabilities 0 and 1 and an infinite log loss: they get (clicks + 1/2) / (rows + 1) (Krichevsky and Trofimov
    1981) instead, the first not above and the last not below the neighbouring block.
    """
    from scipy.optimize import isotonic_regression

    start = np.flatnonzero(np.concatenate(([True], logit[1:] != logit[:-1])))
    point = logit[start]
    rows, clicks = np.diff(np.append(start, logit.size)), np.add.reduceat(label, start)
    block = isotonic_regression(clicks / rows, weights=rows).blocks[:-1]
    level = _inside(np.add.reduceat(clicks, block), np.add.reduceat(rows, block))
    last = np.append(block[1:], point.size) - 1
    knot = np.concatenate((point[block], point[last]))
    knot, at = np.unique(knot, return_index=True)
    return IsotonicCalibration(tuple(knot.tolist()), tuple(np.tile(level, 2)[at].tolist()))


def _inside(clicks: Floats, rows: Floats) -> Floats:
    level: Floats = np.maximum.accumulate(clicks / rows)
    smooth = (clicks + 0.5) / (rows + 1)
    first, last = level[0], level[-1]
    if first == 0:
        level[0] = min(smooth[0], level[1])
    if last == 1:
        level[-1] = max(smooth[-1], level[-2])
    return level


def calibrator_from_dict(description: Mapping[str, Any]) -> Calibrator:
    """The calibrator that `to_dict` described, equal to the last bit also after JSON.

    Raises:
        InputError: when the description is not one that `to_dict` makes.
    """
    try:
        match description["method"]:
            case "none":
                return NoCalibration()
            case "platt":
                return PlattCalibration(float(description["scale"]), float(description["shift"]))
            case "isotonic":
                return _isotonic_from(description["logit"], description["probability"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"calibrator: {error!r} in {str(description)[:200]}; calibrate the model again") from error
    raise InputError(
        f"calibrator: expected method isotonic, platt or none, received {description['method']!r}; "
        "calibrate the model again"
    )


def _isotonic_from(logit: ArrayLike, probability: ArrayLike) -> IsotonicCalibration:
    knot, level = np.asarray(logit, dtype=np.float64), np.asarray(probability, dtype=np.float64)
    rising = knot.ndim == 1 and knot.size > 0 and knot.shape == level.shape and (np.diff(knot) > 0).all()
    if not (rising and (np.diff(level) >= 0).all() and (level > 0).all() and (level < 1).all()):
        raise ValueError("points of the line do not rise inside (0, 1)")
    return IsotonicCalibration(tuple(knot.tolist()), tuple(level.tolist()))
