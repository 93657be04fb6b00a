"""Calibrators of a few parameters: temperature, Platt scaling and beta, by their least log loss.

Losses are against smoothed targets (N+ + 1) / (N+ + 2) and 1 / (N- + 2), which keep separable rows finite.
Source: Platt 1999; Lin, Lin and Weng 2007, algorithm 1.
"""

from collections.abc import Sequence

import numpy as np

from pnn_gluon.arrays import Floats
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.calibration_rows import CalibrationRows
from pnn_gluon.evaluation.calibrators import BetaCalibration, Calibrator, PlattCalibration, beta_parts, on_grid
from pnn_gluon.evaluation.log_odds import log_odds, sigmoid

SLOPE_CLICKS = 10
"""Clicks, and non-clicks, below which only the level is fitted: a slope from fewer is chance."""

LEAST_SPREAD = 0.01
"""Least standard deviation of calibrated logits: a model that ranks by chance or backwards keeps its ranks."""

ZERO: Floats = np.zeros(())

LEAST_SLOPE = 0.01
"""Least scale of temperature, and a and b of beta, which may be 0 in its source: they keep ranks apart."""


class NoMinimum(InputError):
    """The loss has no single minimum that Newton steps find."""


def shift_to(rows: CalibrationRows, logit: Floats, rate: float) -> float:
    """The shift of logits (B,) that gives them a mean probability, by Newton steps of at most 1."""
    shift = float(log_odds(rate) - log_odds(np.clip(rows.mean(sigmoid(logit)), 1e-300, 1 - 1e-16)))
    for _ in range(200):
        p = sigmoid(logit + shift)
        step = float(np.clip((rows.mean(p) - rate) / max(rows.mean(p * (1 - p)), 1e-300), -1, 1))
        shift -= step
        if abs(step) <= 1e-12:
            break
    return shift


def fit_level(rows: CalibrationRows) -> PlattCalibration:
    """The shift alone: what few clicks tell."""
    return PlattCalibration(1.0, shift_to(rows, rows.logit, rows.mean(_targets(rows))))


def fit_platt(rows: CalibrationRows) -> PlattCalibration:
    """The scale and shift of least log loss.

    A model that ranks by chance or backwards gets the scale that spreads its calibrated logits by LEAST_SPREAD, so that
    ranks are kept.
    """
    target = _targets(rows)
    centre, spread = _centre_and_spread(rows)
    x = (rows.logit - centre) / spread
    ones, rate = np.ones_like(x), rows.mean(target)
    scale, shift = _newton(rows, [x, ones], target, np.array([0.0, np.log(rate / (1 - rate))]))
    if scale < LEAST_SPREAD:
        scale, shift = LEAST_SPREAD, shift_to(rows, LEAST_SPREAD * x, rate)
    return PlattCalibration(float(scale / spread), float(shift - scale * centre / spread))


def fit_temperature(rows: CalibrationRows) -> PlattCalibration:
    """The scale of least log loss, 1 / temperature: Platt scaling without a shift. Source: Guo et al. 2017."""
    (scale,) = _newton(rows, [rows.logit], _targets(rows), np.array([1.0]))
    return PlattCalibration(max(float(scale), LEAST_SLOPE), 0.0)


def fit_beta(rows: CalibrationRows) -> Calibrator:
    """a, b and shift of least log loss; one that comes out below LEAST_SLOPE stays there while the others are refitted.

    Rows that leave three parameters open, such as those of two distinct logits, get Platt scaling. Source: Kull, Silva
    Filho and Flach 2017, section 4.2.
    """
    try:
        return _fit_beta(rows)
    except NoMinimum:
        return fit_platt(rows)


def _fit_beta(rows: CalibrationRows) -> BetaCalibration:
    parts, target = beta_parts(rows.logit), _targets(rows)
    slopes, shift = _logistic(rows, parts, target, ZERO)
    if slopes.min() < LEAST_SLOPE:
        held, free = (0, 1) if slopes[0] < slopes[1] else (1, 0)
        fixed = LEAST_SLOPE * parts[held]
        (slope,), shift = _logistic(rows, [parts[free]], target, fixed)
        slopes[held], slopes[free] = LEAST_SLOPE, max(slope, LEAST_SLOPE)
        if slope < LEAST_SLOPE:
            shift = shift_to(rows, fixed + LEAST_SLOPE * parts[free], rows.mean(target))
    low, high = on_grid(rows.logit[[0, -1]]).tolist()
    return BetaCalibration(float(slopes[0]), float(slopes[1]), float(shift), low, high)


def fit_parametric(method: str, rows: CalibrationRows) -> Calibrator:
    """Temperature, platt or beta; the level alone where a class has fewer than SLOPE_CLICKS."""
    if rows.of_rarer_class < SLOPE_CLICKS:
        return fit_level(rows)
    if method == "temperature":
        return fit_temperature(rows)
    return fit_beta(rows) if method == "beta" else fit_platt(rows)


def _targets(rows: CalibrationRows) -> Floats:
    clicks = rows.clicks
    target: Floats = np.where(rows.label == 1, (clicks + 1) / (clicks + 2), 1 / (rows.total - clicks + 2))
    return target


def _centre_and_spread(rows: CalibrationRows) -> tuple[float, float]:
    """Mean and standard deviation of the logits; of equal ones, the one and 1."""
    if rows.logit[0] == rows.logit[-1]:
        return float(rows.logit[0]), 1.0
    centre = rows.mean(rows.logit)
    return centre, float(np.sqrt(rows.mean((rows.logit - centre) ** 2)))


def _logistic(rows: CalibrationRows, columns: Sequence[Floats], target: Floats, offset: Floats) -> tuple[Floats, float]:
    """Slopes and shift of a logistic regression, its columns standardized for the fit."""
    centre = np.array([rows.mean(column) for column in columns])
    spread = np.array([np.sqrt(rows.mean((c - m) ** 2)) or 1.0 for c, m in zip(columns, centre, strict=True)])
    scaled = [(c - m) / s for c, m, s in zip(columns, centre, spread, strict=True)]
    start = np.zeros(len(columns) + 1)
    start[-1] = shift_to(rows, offset, rows.mean(target))
    found = _newton(rows, [*scaled, np.ones_like(target)], target, start, offset)
    slopes: Floats = found[:-1] / spread
    return slopes, float(found[-1] - (slopes * centre).sum())


def _newton(
    rows: CalibrationRows, columns: Sequence[Floats], target: Floats, start: Floats, offset: Floats = ZERO
) -> Floats:
    """The factors of the columns at the minimum of the mean of log(1 + exp(z)) - t z, z = offset + their weighted sum.

    Newton steps, halved while they do not lower the loss. Plain sums instead of matrix products: those may round
    differently with another number of threads.
    """

    def logit(theta: Floats) -> Floats:
        return sum((factor * column for factor, column in zip(theta, columns, strict=True)), start=offset)

    def loss(theta: Floats) -> float:
        z = logit(theta)
        return rows.mean(np.logaddexp(0, z) - target * z)

    theta = start
    for _ in range(100):
        p = sigmoid(logit(theta))
        error, curve = p - target, p * (1 - p)
        gradient = np.array([rows.mean(error * column) for column in columns])
        hessian = np.array([[rows.mean(curve * one * other) for other in columns] for one in columns])
        step = np.linalg.solve(hessian + 1e-12 * np.eye(len(columns)), gradient)
        while np.abs(step).max() > 1e-6 and loss(theta - step) >= loss(theta):
            step /= 2
        theta = theta - step
        if np.abs(step).max() <= 1e-9:  # the error left is about its square
            return theta
    raise NoMinimum(
        f"calibration: no minimum after 100 Newton steps on {rows.label.size} rows; use method isotonic or none"
    )
