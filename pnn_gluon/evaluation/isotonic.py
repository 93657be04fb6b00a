"""Isotonic calibration, blended with Platt scaling so that it is strictly increasing."""

import numpy as np

from pnn_gluon.arrays import Floats
from pnn_gluon.evaluation.calibration_rows import CalibrationRows
from pnn_gluon.evaluation.calibrators import IsotonicCalibration, PlattCalibration, RisingCalibration
from pnn_gluon.evaluation.log_odds import log_odds
from pnn_gluon.evaluation.logistic_fit import shift_to

LEAST_PLATT = 0.01
"""Weight that Platt scaling keeps in an isotonic fit, however many clicks: it orders the rows of a flat piece."""


def blend(rows: CalibrationRows, platt: PlattCalibration, weight: float) -> RisingCalibration:
    """The isotonic fit and Platt scaling: the weighted mean of their calibrated logits.

    It is shifted so that as many clicks are predicted as there were.

    Args:
        rows: What is fitted to.
        platt: Fitted to the same rows.
        weight: Of Platt scaling, at least LEAST_PLATT.
    """
    isotonic, weight = fit_isotonic(rows), max(weight, LEAST_PLATT)
    knot = np.asarray(isotonic.knots)
    level = (1 - weight) * log_odds(isotonic.probability_at) + weight * platt.logit(knot)
    slope = weight * platt.scale
    line = RisingCalibration(isotonic.knots, tuple(level.tolist()), slope)
    shift = shift_to(rows, line.logit(rows.logit), rows.clicks / rows.total)
    return RisingCalibration(isotonic.knots, tuple((level + shift).tolist()), slope)


def fit_isotonic(rows: CalibrationRows) -> IsotonicCalibration:
    """Pool adjacent violators; the line joins both ends of each block at the block's click rate.

    Rows of equal logit are one point. A first block without clicks and a last block without non-clicks would give
    probabilities 0 and 1 and an infinite log loss: they get (clicks + 1/2) / (rows + 1) (Krichevsky and Trofimov
    1981) instead, the first not above and the last not below the neighbouring block.
    """
    from scipy.optimize import isotonic_regression

    logit = rows.logit
    start = np.flatnonzero(np.concatenate(([True], logit[1:] != logit[:-1])))
    point = logit[start]
    weight, clicks = np.add.reduceat(rows.weight, start), np.add.reduceat(rows.weight * rows.label, start)
    block = isotonic_regression(clicks / weight, weights=weight).blocks[:-1]
    level = _inside(np.add.reduceat(clicks, block), np.add.reduceat(weight, block))
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
