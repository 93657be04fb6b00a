"""From the logit to the natural probability in ONNX's operators, in float64 as `pnn_gluon.evaluation` does it."""

import numpy as np

from pnn_gluon.errors import ConfigError
from pnn_gluon.evaluation.calibration import correct_sampling
from pnn_gluon.evaluation.calibrators import (
    BetaCalibration,
    Calibrator,
    IsotonicCalibration,
    NoCalibration,
    PlattCalibration,
    RisingCalibration,
)
from pnn_gluon.evaluation.segments import Calibration, Segments
from pnn_gluon.portable.doubles import Doubles, count_up_to
from pnn_gluon.portable.onnx_graph import OnnxGraph


def add_probability(graph: OnnxGraph, logit: str, rate: float, calibration: Calibration, segment: str) -> str:
    """Add the sampling correction and the calibration: the name of the probabilities, double (B,).

    Args:
        graph: Where to.
        logit: The name of the raw logits (B,).
        rate: At which negatives of the training rows were kept.
        calibration: Of the bundle.
        segment: The name of the ids int32 (B,) that the rows are calibrated by; without segments nobody looks at it.

    Raises:
        ConfigError: a calibrator that there is no ONNX form of.
    """
    corrected = Doubles(graph, graph.cast(logit, np.float64)) + float(correct_sampling(0.0, rate))
    whole = calibration.whole
    if calibration.segments is not None:
        return _by_segment(_calibrated(whole, corrected), calibration.segments, segment).sigmoid().name
    if isinstance(whole, IsotonicCalibration):
        return corrected.along(whole.knots, whole.probability_at).name
    return _calibrated(whole, corrected).sigmoid().name


def _calibrated(calibrator: Calibrator, x: Doubles) -> Doubles:
    """Calibrated logits of corrected logits."""
    match calibrator:
        case NoCalibration():
            return x
        case PlattCalibration():
            return x * calibrator.scale + calibrator.shift
        case BetaCalibration():
            return _beta(calibrator, x)
        case IsotonicCalibration():
            return x.along(calibrator.knots, calibrator.probability_at).log_odds()
        case RisingCalibration():
            beyond = x - x.clip(calibrator.knots[0], calibrator.knots[-1])
            return x.along(calibrator.knots, calibrator.calibrated_at) + beyond * calibrator.slope
    raise ConfigError(f"calibrator {type(calibrator).__name__} has no ONNX form here; score it with score-table")


def _beta(beta: BetaCalibration, logit: Doubles) -> Doubles:
    """The curve within the range of the fit, and the lines beyond it; ONNX has no log1p, which is 1e-16 off at most."""
    x = (logit * 2.0**40).of("Round") * 2.0**-40
    inside = x.clip(beta.low, beta.high)
    rest = ((-inside.of("Abs")).of("Exp") + 1.0).of("Log")
    rising, steepening = inside.of("Min", 0.0) - rest, inside.of("Max", 0.0) + rest
    below, above = beta.slopes()
    slope = (x * 0.0 + below).chosen(x.of("Less", beta.low).name, above)
    return rising * beta.a + steepening * beta.b + beta.shift + slope * (x - inside)


def _by_segment(whole: Doubles, segments: Segments, segment: str) -> Doubles:
    """The line of each row's segment; rows of another keep the whole's logit."""
    ids = np.array([*segments.ids, np.iinfo(np.int32).max], np.int32)
    place = count_up_to(whole.graph, ids, segment, less=1)
    known = whole.graph.add("Equal", whole.graph.add("Gather", whole.graph.constant(ids), place), segment)
    scale = whole.at([*segments.scale, 1.0], place).chosen(known, 1.0)
    shift = whole.at([*segments.shift, 0.0], place).chosen(known, 0.0)
    return scale * whole + shift
