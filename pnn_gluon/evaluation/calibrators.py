"""What a fitted calibrator is: a strictly increasing map of corrected logits, which survives JSON bit for bit.

Rows keep their ranks, but for what float64 can't tell apart.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.log_odds import log_odds, sigmoid


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
    """A scale and a shift of the logit: p = sigmoid(scale x + shift). Temperature T is scale 1 / T without a shift.

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
class BetaCalibration:
    """p = 1 / (1 + 1 / (e^shift q^a / (1 - q)^b)) of q = sigmoid(x).

    Its logit is a ln q - b ln(1 - q) + shift: slope a far below 0, b far above. Beyond the fitted logits it goes on
    straight, with the slope that it has there, at most the mean one between the ends. Logits nearer than 2^-40 to one
    another may be merged: nearer ones could be reversed by rounding. Source: Kull, Silva Filho and Flach 2017,
    equation 3.

    Raises:
        InputError: for a or b that is not above 0, or anything that is no number.
    """

    a: float
    b: float
    shift: float
    low: float  # least and greatest logit of the fit
    high: float

    def __post_init__(self) -> None:
        if not (0 < self.a < np.inf and 0 < self.b < np.inf and np.isfinite(self.shift)):
            raise InputError(
                f"calibrator: expected finite a > 0, b > 0 and a finite shift of beta, received {self.a}, {self.b} and "
                f"{self.shift}; calibrate the model again"
            )
        if not -np.inf < self.low <= self.high < np.inf:
            raise InputError(
                f"calibrator: expected finite low <= high of beta, received {self.low} and {self.high}; "
                "calibrate the model again"
            )

    def logit(self, corrected_logit: ArrayLike) -> Floats:
        """a ln q - b ln(1 - q) + shift and the lines beyond it, any shape."""
        x = on_grid(corrected_logit)
        inside = np.clip(x, self.low, self.high)
        below, above = self.slopes()
        result: Floats = self._curve(inside) + np.where(x < self.low, below, above) * (x - inside)
        return result

    def _curve(self, logit: Floats) -> Floats:
        rising, steepening = beta_parts(logit)
        result: Floats = self.a * rising + self.b * steepening + self.shift
        return result

    def slopes(self) -> tuple[float, float]:
        """Of the lines below and above the fitted logits."""
        ends = np.array([self.low, self.high])
        slope = self.a * sigmoid(-ends) + self.b * sigmoid(ends)
        if self.low < self.high:
            slope = np.minimum(slope, np.diff(self._curve(ends)) / np.diff(ends))
        return float(slope[0]), float(slope[1])

    def probability(self, corrected_logit: ArrayLike) -> Floats:
        """The sigmoid of the calibrated logit, any shape."""
        return sigmoid(self.logit(corrected_logit))

    def to_dict(self) -> dict[str, Any]:
        """The method's name, its three parameters and the range of the fit."""
        return {"method": "beta", **asdict(self)}


def on_grid(logit: ArrayLike) -> Floats:
    """Logits to the nearest multiple of 2^-40, about 1e-12: those of float32 from 2^-17 on as they are."""
    result: Floats = np.round(np.asarray(logit, dtype=np.float64) * 2.0**40) * 2.0**-40
    return result


def beta_parts(logit: Floats) -> tuple[Floats, Floats]:
    """ln q and -ln(1 - q) of q = sigmoid(x), any shape: both rise, their sum is x."""
    rest = np.log1p(np.exp(-np.abs(logit)))
    return np.minimum(logit, 0) - rest, np.maximum(logit, 0) + rest


@dataclass(frozen=True)
class IsotonicCalibration:
    """A non-decreasing line through (logit_k, probability_k); constant beyond the first and the last.

    The plain isotonic fit, and what bundles of earlier releases hold. It merges the ranks of a flat piece.
    """

    knots: tuple[float, ...]  # strictly increasing logits
    probability_at: tuple[float, ...]  # non-decreasing, inside (0, 1)

    def logit(self, corrected_logit: ArrayLike) -> Floats:
        """log p - log(1 - p), any shape."""
        return log_odds(self.probability(corrected_logit))

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
            case "beta":
                return BetaCalibration(*(float(description[key]) for key in ("a", "b", "shift", "low", "high")))
            case "isotonic" if "probability" in description:  # of earlier releases
                return _isotonic_from(description["logit"], description["probability"])
            case "isotonic":
                return _rising_from(description["logit"], description["calibrated_logit"], description["slope"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"calibrator: {error!r} in {str(description)[:200]}; calibrate the model again") from error
    raise InputError(
        f"calibrator: expected method isotonic, beta, platt or none, received {description['method']!r}; "
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
