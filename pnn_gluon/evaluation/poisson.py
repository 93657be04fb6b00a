"""How often each row comes in each repeat of a bootstrap: a function of seed, row and repeat, and of nothing else.

Rows that are drawn independently, Poisson(1) times each, stand for draws with replacement: nobody needs to know how
many rows there are, so parts can be drawn by themselves, in any order, on any machine. Chamandy, Muralidharan, Najmi
and Naidu (2012), "Estimating uncertainty for massive data streams".
"""

from math import exp, factorial

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.evaluation.identity import Identities

_STEP = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1
_SHIFT = np.uint64(48)


def mixed(values: Identities) -> Identities:
    """Scrambled bits of 64-bit numbers, one to one: the last step of SplitMix64 (Steele, Lea and Flood 2014)."""
    bits = values ^ (values >> np.uint64(30))
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits


def _inverse() -> NDArray[np.uint8]:
    """The Poisson(1) count of each of 2^16 equal parts of a probability: mean and variance are 1 to 1e-4."""
    cumulated = np.cumsum([exp(-1) / factorial(k) for k in range(16)])
    return np.searchsorted(cumulated, (np.arange(2**16) + 0.5) / 2**16, side="right").astype(np.uint8)


COUNTS = _inverse()


def poisson_weights(units: Identities, repeats: range, seed: int) -> NDArray[np.uint8]:
    """How often each unit comes in each repeat (len(repeats), U)."""
    start = mixed(np.array([seed & _MASK], np.uint64))[0]
    keys = mixed(start + np.array([(number + 1) * _STEP & _MASK for number in repeats], np.uint64))
    counts: NDArray[np.uint8] = COUNTS[mixed(units ^ keys[:, None]) >> _SHIFT]
    return counts
