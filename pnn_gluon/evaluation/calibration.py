"""From a model's logit to a natural probability: the exact sampling correction, then a fitted calibrator.

Every fitted calibrator is strictly increasing, depends on the rows it was fitted on and not on their order, and answers
a calibrated logit, from which losses are computed exactly, and the probability of it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats
from pnn_gluon.errors import InputError
from pnn_gluon.evaluation.arrays import class_weights
from pnn_gluon.evaluation.calibration_rows import CalibrationRows
from pnn_gluon.evaluation.calibrators import Calibrator, NoCalibration
from pnn_gluon.evaluation.isotonic import blend
from pnn_gluon.evaluation.logistic_fit import SLOPE_CLICKS, fit_parametric, fit_platt
from pnn_gluon.evaluation.method_choice import MethodChoice, choose_method

Method = Literal["isotonic", "beta", "platt", "temperature", "none", "auto"]

MINIMUM_ROWS = 20
"""Rows below which nothing is fitted."""

ISOTONIC_CLICKS = 100
"""Clicks, and non-clicks, below which isotonic calibration falls back to Platt scaling, unless told otherwise.

On generated rows with known probabilities Platt scaling had the lower log loss on fresh rows below this number, and
isotonic blocks of a click or two answered probabilities above anything true.
"""


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


def uncalibratable(method: Method, label: ArrayLike, weight: ArrayLike | None = None) -> str:
    """Why rows of these labels 0 or 1 (B,) can't be calibrated by the method; empty if they can."""
    clicks, others = _classes(label, weight)
    if method == "none" or (clicks + others >= MINIMUM_ROWS and clicks > 0 and others > 0):
        return ""
    return (
        f"cannot be calibrated: {clicks:.0f} clicks, {others:.0f} non-clicks; expected at least one of each and "
        f"{MINIMUM_ROWS} rows: take a larger calibrate share or window, or calibration method none"
    )


def _classes(label: ArrayLike, weight: ArrayLike | None) -> tuple[float, float]:
    """The weights of clicks and of non-clicks."""
    clicks, others = class_weights(label, weight)
    return float(clicks.sum()), float(others.sum())


def calibration_note(
    method: Method, label: ArrayLike, min_clicks: int = ISOTONIC_CLICKS, weight: ArrayLike | None = None
) -> str:
    """How a fit to these labels (B,) differs from the method asked for, and why; empty if it does not."""
    few = min(_classes(label, weight))
    if method == "none" or few >= (min_clicks if method in {"isotonic", "auto"} else SLOPE_CLICKS):
        return ""
    if few < SLOPE_CLICKS:
        return f"only the level was calibrated: {few:g} rows of the rarer class, a slope needs {SLOPE_CLICKS}"
    return f"platt in place of {method}: {few:g} rows of the rarer class, calibration.min_clicks is {min_clicks}"


def fit_calibrator(
    method: Method,
    corrected_logit: ArrayLike,
    label: ArrayLike,
    min_clicks: int = ISOTONIC_CLICKS,
    weight: ArrayLike | None = None,
) -> Calibrator:
    """Fit on rows at the natural rate that the model was not trained on.

    isotonic is blended with Platt scaling, whose weight is min_clicks over the rows n of the rarer class, at least
    LEAST_PLATT: below min_clicks it is Platt scaling, and so is auto. With fewer than SLOPE_CLICKS of a class only the
    level is fitted. Equal rows give equal bytes in whatever order they come: they are sorted first.

    Args:
        method: How; auto takes the method of least cross-validated log loss, see `choose_method`.
        corrected_logit: Of the model, after `correct_sampling` (B,).
        label: 0 or 1 (B,).
        min_clicks: Clicks, and non-clicks, below which isotonic and auto are Platt scaling.
        weight: Of each row (B,), such as impressions: as if the row were there so many times.

    Raises:
        CannotCalibrate: fewer than MINIMUM_ROWS rows, or a class without any.
        InputError: for an unknown method, logits that are not finite, labels other than 0 and 1, weights below 0, or
            lengths that differ.
    """
    return fit_chosen(method, corrected_logit, label, min_clicks, weight)[0]


def fit_chosen(
    method: Method,
    corrected_logit: ArrayLike,
    label: ArrayLike,
    min_clicks: int = ISOTONIC_CLICKS,
    weight: ArrayLike | None = None,
) -> tuple[Calibrator, MethodChoice | None]:
    """The calibrator of `fit_calibrator`, and what auto chose by; None where nothing was to be chosen."""
    if method not in get_args(Method):
        raise InputError(f"calibration: expected method {', '.join(get_args(Method))}, received {method!r}")
    if method == "none":
        return NoCalibration(), None
    if why := uncalibratable(method, label, weight):
        raise CannotCalibrate(why)
    rows = CalibrationRows.of(corrected_logit, label, weight)
    fits = fits_of(min_clicks)
    if method != "auto":
        return fits[method](rows), None
    if rows.of_rarer_class < max(min_clicks, SLOPE_CLICKS):
        return fits["platt"](rows), None
    choice = choose_method(rows, fits)
    return fits[choice.method](rows), choice


def fits_of(min_clicks: int) -> Mapping[str, Callable[[CalibrationRows], Calibrator]]:
    """How each method is fitted, the simplest first."""
    fits: dict[str, Callable[[CalibrationRows], Calibrator]] = {"none": lambda rows: NoCalibration()}
    fits |= {method: partial(fit_parametric, method) for method in ("temperature", "platt", "beta")}
    return fits | {"isotonic": partial(_fit_isotonic, min_clicks)}


def _fit_isotonic(min_clicks: int, rows: CalibrationRows) -> Calibrator:
    few = rows.of_rarer_class
    if few < max(min_clicks, SLOPE_CLICKS):
        return fit_parametric("platt", rows)
    return blend(rows, fit_platt(rows), min_clicks / few)
