"""From a model's logit to a natural probability: the exact sampling correction, then a fitted calibrator.

Every fitted calibrator is strictly increasing (rows keep their ranks, but for what float64 can't tell apart),
depends on the rows it was fitted on and not on their order, and survives JSON bit for bit. It answers a calibrated
logit, from which losses are computed exactly, and the probability of it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import label_array, logit_array

Method = Literal["isotonic", "platt", "none"]

MINIMUM_ROWS = 20
"""Rows below which nothing is fitted."""

SLOPE_CLICKS = 10
"""Clicks, and non-clicks, below which only the level is fitted: a slope from fewer is chance."""

ISOTONIC_CLICKS = 100
"""Clicks, and non-clicks, below which isotonic calibration falls back to Platt scaling, unless told otherwise.

On generated rows with known probabilities Platt scaling had the lower log loss on fresh rows below this number, and
isotonic blocks of a click or two answered probabilities above anything true.
"""

LEAST_PLATT = 0.01
"""Weight that Platt scaling keeps in an isotonic fit, however many clicks: it orders the rows of a flat piece."""

LEAST_SPREAD = 0.01
"""Least standard deviation of calibrated logits: a model that ranks by chance or backwards keeps its ranks."""


class CannotCalibrate(InputError):
    """The rows don't let a calibrator be fitted: too few, or of one class."""


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
    """A non-decreasing map from corrected logits to calibrated logits and probabilities."""

    def logit(self, corrected_logit: ArrayLike) -> Floats:
        """Calibrated logits of corrected logits, both of the same shape, float64."""
        ...

    def probability(self, corrected_logit: ArrayLike) -> Floats:
        """Probabilities of corrected logits, both of the same shape, float64."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """A description fit for JSON, from which `calibrator_from_dict` makes an equal calibrator."""
        ...


@dataclass(frozen=True)
class NoCalibration:
    """The corrected logit as it is."""

    def logit(self, corrected_logit: ArrayLike) -> Floats:
        """x, any shape."""
        return np.asarray(corrected_logit, dtype=np.float64)

    def probability(self, corrected_logit: ArrayLike) -> Floats:
        """sigmoid(x), any shape."""
        return sigmoid(corrected_logit)

    def to_dict(self) -> dict[str, Any]:
        """The method's name."""
        return {"method": "none"}


@dataclass(frozen=True)
class PlattCalibration:
    """A scale and a shift of the logit: p = sigmoid(scale x + shift).

    Raises:
        InputError: for a negative scale, which would reverse the order, or one that is no number.
    """

    scale: float
    shift: float

    def __post_init__(self) -> None:
        if not (0 <= self.scale < np.inf and np.isfinite(self.shift)):
            raise InputError(
                f"calibrator: expected a finite platt scale >= 0 and a finite shift, received {self.scale} and "
                f"{self.shift}; calibrate the model again"
            )

    def logit(self, corrected_logit: ArrayLike) -> Floats:
        """scale x + shift, any shape."""
        result: Floats = self.scale * np.asarray(corrected_logit, dtype=np.float64) + self.shift
        return result

    def probability(self, corrected_logit: ArrayLike) -> Floats:
        """sigmoid(scale x + shift), any shape."""
        return sigmoid(self.logit(corrected_logit))

    def to_dict(self) -> dict[str, Any]:
        """The method's name, scale and shift."""
        return {"method": "platt", **asdict(self)}


@dataclass(frozen=True)
class IsotonicCalibration:
    """A non-decreasing line through (logit_k, probability_k); constant beyond the first and the last.

    The plain isotonic fit, and what bundles of earlier releases hold. It merges the ranks of a flat piece.
    """

    knots: tuple[float, ...]  # strictly increasing logits
    probability_at: tuple[float, ...]  # non-decreasing, inside (0, 1)

    def logit(self, corrected_logit: ArrayLike) -> Floats:
        """log p - log(1 - p), any shape."""
        return _log_odds(self.probability(corrected_logit))

    def probability(self, corrected_logit: ArrayLike) -> Floats:
        """Linear interpolation, any shape; each step is rounded monotonically, so order holds to the last bit."""
        return _along(self.knots, self.probability_at, corrected_logit)

    def to_dict(self) -> dict[str, Any]:
        """The method's name and the points of the line."""
        return {"method": "isotonic", "logit": list(self.knots), "probability": list(self.probability_at)}


@dataclass(frozen=True)
class RisingCalibration:
    """An increasing line through (logit_k, calibrated logit_k), continued beyond both ends with one slope > 0."""

    knots: tuple[float, ...]  # strictly increasing logits
    calibrated_at: tuple[float, ...]  # calibrated logits, rising
    slope: float

    def logit(self, corrected_logit: ArrayLike) -> Floats:
        """Linear interpolation, any shape; each step is rounded monotonically, so order holds to the last bit."""
        x = np.asarray(corrected_logit, dtype=np.float64)
        beyond = x - np.clip(x, self.knots[0], self.knots[-1])
        return _along(self.knots, self.calibrated_at, x) + self.slope * beyond

    def probability(self, corrected_logit: ArrayLike) -> Floats:
        """The sigmoid of the calibrated logit, any shape."""
        return sigmoid(self.logit(corrected_logit))

    def to_dict(self) -> dict[str, Any]:
        """The method's name, the points of the line and the slope beyond them."""
        points = {"logit": list(self.knots), "calibrated_logit": list(self.calibrated_at)}
        return {"method": "isotonic", **points, "slope": self.slope}


def _along(knots: tuple[float, ...], levels: tuple[float, ...], value: ArrayLike) -> Floats:
    """The line through (knot, level) at values of any shape, constant beyond its ends."""
    knot, level = np.asarray(knots), np.asarray(levels)
    x = np.clip(np.asarray(value, dtype=np.float64), knot[0], knot[-1])
    left = np.searchsorted(knot, x, side="right") - 1
    right = np.minimum(left + 1, knot.size - 1)
    width = np.where(right > left, knot[right] - knot[left], 1.0)
    risen = level[left] + (x - knot[left]) / width * (level[right] - level[left])
    result: Floats = np.minimum(risen, level[right])
    return result


def _log_odds(probability: ArrayLike) -> Floats:
    p = np.asarray(probability, dtype=np.float64)
    result: Floats = np.log(p) - np.log1p(-p)
    return result


def uncalibratable(method: Method, label: ArrayLike) -> str:
    """Why rows of these labels 0 or 1 (B,) can't be calibrated by the method; empty if they can."""
    y = label_array(label)
    clicks = int(y.sum())
    if method == "none" or (y.size >= MINIMUM_ROWS and 0 < clicks < y.size):
        return ""
    return (
        f"cannot be calibrated: {clicks} clicks, {y.size - clicks} non-clicks; expected at least one of each and "
        f"{MINIMUM_ROWS} rows: take a larger calibrate share or window, or calibration method none"
    )


def calibration_note(method: Method, label: ArrayLike, min_clicks: int = ISOTONIC_CLICKS) -> str:
    """How a fit to these labels (B,) differs from the method asked for, and why; empty if it does not."""
    few = _of_rarer_class(label_array(label))
    if method == "none" or few >= (SLOPE_CLICKS if method == "platt" else min_clicks):
        return ""
    if few < SLOPE_CLICKS:
        return f"only the level was calibrated: {few} rows of the rarer class, a slope needs {SLOPE_CLICKS}"
    return f"platt in place of isotonic: {few} rows of the rarer class, calibration.min_clicks is {min_clicks}"


def _of_rarer_class(label: Floats) -> int:
    clicks = int(label.sum())
    return min(clicks, label.size - clicks)


def fit_calibrator(
    method: Method, corrected_logit: ArrayLike, label: ArrayLike, min_clicks: int = ISOTONIC_CLICKS
) -> Calibrator:
    """Fit on rows at the natural rate that the model was not trained on.

    isotonic is blended with Platt scaling, whose weight is min_clicks over the rows n of the rarer class, at least
    LEAST_PLATT: below min_clicks it is Platt scaling. With fewer than SLOPE_CLICKS of a class only the level is
    fitted. Equal rows give equal bytes in whatever order they come: they are sorted first.

    Raises:
        CannotCalibrate: fewer than MINIMUM_ROWS rows, or a class without any.
        InputError: for an unknown method, logits that are not finite, labels other than 0 and 1, or lengths that
            differ.
    """
    if method == "none":
        return NoCalibration()
    if method not in {"isotonic", "platt"}:
        raise InputError(f"calibration: expected method isotonic, platt or none, received {method!r}")
    y = label_array(label)
    x = logit_array(corrected_logit, y.size)
    if why := uncalibratable(method, y):
        raise CannotCalibrate(why)
    order = np.lexsort((y, x))
    x, y = x[order] + 0.0, y[order]  # + 0.0 turns -0.0 into 0.0: they are one value
    platt, few = fit_platt(x, y), _of_rarer_class(y)
    if method == "platt" or few < max(min_clicks, SLOPE_CLICKS):
        return platt
    return _blended(fit_isotonic(x, y), platt, max(min_clicks / few, LEAST_PLATT), x, y)


def _blended(
    isotonic: IsotonicCalibration, platt: PlattCalibration, weight: float, logit: Floats, label: Floats
) -> RisingCalibration:
    """The weighted mean of two calibrated logits, shifted so that as many clicks are predicted as there were."""
    knot = np.asarray(isotonic.knots)
    level = (1 - weight) * _log_odds(isotonic.probability_at) + weight * platt.logit(knot)
    slope = weight * platt.scale
    line = RisingCalibration(isotonic.knots, tuple(level.tolist()), slope)
    shift = _shift_to(line.logit(logit), float(label.mean()))
    return RisingCalibration(isotonic.knots, tuple((level + shift).tolist()), slope)


def _shift_to(logit: Floats, rate: float) -> float:
    """The shift of logits (B,) that gives them a mean probability, by Newton steps of at most 1."""
    shift = float(_log_odds(rate) - _log_odds(np.clip(sigmoid(logit).mean(), 1e-300, 1 - 1e-16)))
    for _ in range(200):
        p = sigmoid(logit + shift)
        step = float(np.clip((p.mean() - rate) / max(float(np.mean(p * (1 - p))), 1e-300), -1, 1))
        shift -= step
        if abs(step) <= 1e-12:
            break
    return shift


def fit_platt(logit: Floats, label: Floats) -> PlattCalibration:
    """The scale and shift of least log loss against smoothed targets, by Newton steps with halving.

    Targets (N+ + 1) / (N+ + 2) and 1 / (N- + 2) keep separable rows finite. A model that ranks by chance or
    backwards gets the scale that spreads its calibrated logits by LEAST_SPREAD, so that ranks are kept. Source:
    Platt 1999; Lin, Lin and Weng 2007, algorithm 1.
    """
    positives = label.sum()
    target = np.where(label == 1, (positives + 1) / (positives + 2), 1 / (label.size - positives + 2))
    rate = float(target.mean())
    if _of_rarer_class(label) < SLOPE_CLICKS:
        return PlattCalibration(1.0, _shift_to(logit, rate))
    equal = logit.min() == logit.max()
    centre, spread = (logit[0], 1.0) if equal else (logit.mean(), logit.std())
    x = (logit - centre) / spread
    scale, shift = _newton(x, target)
    if scale < LEAST_SPREAD:
        scale, shift = LEAST_SPREAD, _shift_to(LEAST_SPREAD * x, rate)
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
            case "isotonic" if "probability" in description:  # of earlier releases
                return _isotonic_from(description["logit"], description["probability"])
            case "isotonic":
                return _rising_from(description["logit"], description["calibrated_logit"], description["slope"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"calibrator: {error!r} in {str(description)[:200]}; calibrate the model again") from error
    raise InputError(
        f"calibrator: expected method isotonic, platt or none, received {description['method']!r}; "
        "calibrate the model again"
    )


def _isotonic_from(logit: ArrayLike, probability: ArrayLike) -> IsotonicCalibration:
    knot, level = _line(logit, probability)
    if not ((level > 0).all() and (level < 1).all()):
        raise ValueError("points of the line do not rise inside (0, 1)")
    return IsotonicCalibration(tuple(knot.tolist()), tuple(level.tolist()))


def _rising_from(logit: ArrayLike, calibrated: ArrayLike, slope: float) -> RisingCalibration:
    knot, level = _line(logit, calibrated)
    if not 0 < float(slope) < np.inf:
        raise ValueError(f"slope {slope} is not a finite number above 0")
    return RisingCalibration(tuple(knot.tolist()), tuple(level.tolist()), float(slope))


def _line(logit: ArrayLike, value: ArrayLike) -> tuple[Floats, Floats]:
    knot, level = np.asarray(logit, dtype=np.float64), np.asarray(value, dtype=np.float64)
    rising = knot.ndim == 1 and knot.size > 0 and knot.shape == level.shape and (np.diff(knot) > 0).all()
    if not (rising and np.isfinite(knot).all() and np.isfinite(level).all() and (np.diff(level) >= 0).all()):
        raise ValueError("points of the line do not rise")
    return knot, level
