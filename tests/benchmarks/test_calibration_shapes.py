"""What `python -m benchmarks.calibration_shapes` shows, on fewer rows."""

import numpy as np
import pytest

from benchmarks.calibration_shapes import SHAPES, drawn, ece, told
from pnn_gluon.evaluation.log_odds import log_odds


def test_the_distance_is_that_of_the_definition() -> None:
    truth = np.repeat([0.1, 0.3], 500)
    assert ece(log_odds(truth), log_odds(truth)) == 0
    assert ece(log_odds(1.5 * truth), log_odds(truth)) == pytest.approx(0.5)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_rises_without_a_jump_and_differs_from_the_models_unless_that_is_right(shape: str) -> None:
    logit = np.linspace(-8, 3, 10_001)
    truth = SHAPES[shape](logit)
    assert (np.diff(truth) > 0).all()
    assert np.abs(np.diff(truth)).max() < 0.01
    assert (np.abs(truth - logit).max() == 0) == (shape == "right")


def test_a_fit_is_judged_on_rows_of_its_own() -> None:
    one, other = drawn("bent", 100, 1), drawn("bent", 100, 1001)
    assert not np.isin(one[0], other[0]).any()


def test_auto_takes_freedom_where_the_shape_asks_for_it_and_else_leaves_it() -> None:
    waves, right = (told(shape, "auto", 20_000, [1]) for shape in ("waves", "right"))
    assert waves["chosen"] == ["isotonic"]
    assert waves["ece"] < 0.5 * told("waves", "platt", 20_000, [1])["ece"]
    assert right["chosen"] != ["isotonic"]
    assert right["ece"] < told("right", "isotonic", 20_000, [1])["ece"]
