"""Sampling correction and every calibrator inside an ONNX graph: what `pnn_gluon.evaluation` says, to 1e-12."""

from pathlib import Path

import numpy as np
import pytest

from pnn_gluon.errors import ConfigError
from pnn_gluon.evaluation.calibration import correct_sampling, fit_calibrator
from pnn_gluon.evaluation.calibrators import (
    BetaCalibration,
    Calibrator,
    IsotonicCalibration,
    NoCalibration,
    PlattCalibration,
    RisingCalibration,
)
from pnn_gluon.evaluation.segments import Calibration, RowSegments, Segments
from pnn_gluon.portable.doubles import count_up_to
from pnn_gluon.portable.onnx_graph import OnnxGraph
from pnn_gluon.portable.probability import add_probability
from tests.portable.onnx_files import computed

RANDOM = np.random.default_rng(4)
KNOTS = tuple(np.sort(RANDOM.normal(0, 3, 37)).tolist())
LEVELS = tuple(np.sort(RANDOM.uniform(0.01, 0.9, 37)).tolist())
LOGITS = np.concatenate(
    [RANDOM.normal(0, 4, 500), KNOTS, np.array(KNOTS) - np.log(0.25), [0.0, -800, 800, 1e-9, -40, 40]]
).astype(np.float32)

WHOLES: dict[str, Calibrator] = {
    "none": NoCalibration(),
    "platt": PlattCalibration(0.7, -0.4),
    "beta": BetaCalibration(0.8, 1.3, -0.2, -3.0, 2.5),
    "beta of one logit": BetaCalibration(0.8, 1.3, -0.2, 0.5, 0.5),
    "isotonic of earlier releases": IsotonicCalibration(KNOTS, LEVELS),
    "isotonic": RisingCalibration(KNOTS, tuple(np.sort(RANDOM.normal(size=37)).tolist()), 0.01),
    "isotonic of one knot": RisingCalibration((0.5,), (-1.0,), 0.3),
    "isotonic of two knots": RisingCalibration((0.5, 0.75), (-1.0, 2.0), 0.3),
}
SEGMENTS = {
    "whole": None,
    "segments": Segments("site", (3, 5, 6, 11), (0.5, 1.5, 0.9, 2.0), (0.1, -0.3, 0.0, 1.0)),
    "no segment": Segments("site", (), (), ()),
}


@pytest.mark.parametrize("rate", [1.0, 0.25])
@pytest.mark.parametrize("segments", SEGMENTS)
@pytest.mark.parametrize("whole", WHOLES)
def test_probabilities_are_those_of_the_calibration(whole: str, segments: str, rate: float, tmp_path: Path) -> None:
    calibration = Calibration(WHOLES[whole], SEGMENTS[segments])
    ids = np.random.default_rng(1).integers(0, 14, len(LOGITS)).astype(np.int32)
    found = computed(
        tmp_path, lambda graph: add_probability(graph, "logit", rate, calibration, "site"), logit=LOGITS, site=ids
    )
    with np.errstate(over="ignore"):
        expected = calibration.probability(correct_sampling(LOGITS, rate), RowSegments("site", ids, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("method", ["temperature", "platt", "beta", "isotonic", "auto"])
def test_so_are_those_of_a_fitted_calibrator(method: str, tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    logit = random.normal(-1, 2, 4000)
    calibrator = fit_calibrator(method, logit, random.random(4000) < 1 / (1 + np.exp(-0.6 * logit)))
    given = logit.astype(np.float32)
    found = computed(
        tmp_path, lambda graph: add_probability(graph, "logit", 0.5, Calibration(calibrator), ""), logit=given
    )
    np.testing.assert_allclose(found, calibrator.probability(correct_sampling(given, 0.5)), rtol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 9, 100])
def test_numbers_up_to_a_number_are_counted(count: int, tmp_path: Path) -> None:
    rising = np.sort(np.random.default_rng(count).normal(size=count))
    x = np.concatenate([rising, rising - 1e-9, rising + 1e-9, [-np.inf, np.inf]])
    found = computed(tmp_path, lambda graph: graph.cast(count_up_to(graph, rising, "x"), np.float64), x=x)
    np.testing.assert_array_equal(found, np.searchsorted(rising, x, side="right"))


def test_a_calibrator_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="calibrator object has no ONNX form"):
        add_probability(OnnxGraph(), "logit", 1.0, Calibration(object()), "")  # type: ignore[arg-type]
