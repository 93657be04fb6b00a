"""Between logits and probabilities."""

import numpy as np
from numpy.typing import ArrayLike

from pnn_gluon.arrays import Floats


def sigmoid(logit: ArrayLike) -> Floats:
    """1 / (1 + exp(-x)) in float64: non-decreasing also in its rounding, full relative precision, 0 below -709.8.

    Not exp(x) / (1 + exp(x)) for negative x: its rounding can put the larger of two neighbours first.
    """
    with np.errstate(over="ignore"):
        result: Floats = 1 / (1 + np.exp(-np.asarray(logit, dtype=np.float64)))
    return result


def log_odds(probability: ArrayLike) -> Floats:
    """log p - log(1 - p), any shape."""
    p = np.asarray(probability, dtype=np.float64)
    result: Floats = np.log(p) - np.log1p(-p)
    return result
