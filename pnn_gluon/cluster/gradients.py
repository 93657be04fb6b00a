"""What travels between workers and servers: gradients of rows, added up in the order of the workers, and numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pnn_gluon.cluster.plan import FLOATS, ID_COLUMNS

Rows = NDArray[np.int64]
Values = NDArray[np.float32]

_LOW = 1 << 16


def packed(rows: Rows, gradients: Values) -> Values:
    """Gradients (n, K) with their rows (n,), below 2^40, beside them: (n, K + 2)."""
    places = np.stack((rows >> 16, rows & (_LOW - 1)), axis=1).astype(np.float32)
    return np.concatenate((gradients, places), axis=1)


def unpacked(mail: Values) -> tuple[Rows, Values]:
    """Rows (n,) and gradients (n, K) of what `packed` gave."""
    places = mail[:, -ID_COLUMNS:].astype(np.int64)
    return (places[:, 0] << 16) + places[:, 1], mail[:, :-ID_COLUMNS]


def added_up(rows: Rows, gradients: Values, parts: NDArray[np.int64]) -> tuple[Rows, Values]:
    """Each row once, in ascending order, with its gradients added in the order of the parts.

    Args:
        rows: Rows (n,), none twice within a part.
        gradients: Their gradients (n, K).
        parts: Which part, such as a worker, each is of (n,), ascending.
    """
    found, place = np.unique(rows, return_inverse=True)
    total = np.zeros((len(found), gradients.shape[1]), np.float32)
    seen = np.zeros(len(found), bool)
    for part in np.unique(parts):
        of = parts == part
        at, values = place[of], gradients[of]
        total[at] = np.where(seen[at, None], total[at] + values, values)
        seen[at] = True
    return found, total


def in_floats(numbers: Sequence[float]) -> Values:
    """Float64 numbers (n,) as float32 numbers (n, 3) whose sum they are exactly, if they are below 10^38.

    Keys of the parameter server must be float32: a server of MXNet 1.9.1 keeps others in float32 or not, by a
    variable that it does not set.
    """
    left, parts = np.array(numbers, np.float64), []
    for _ in range(FLOATS):
        parts.append(left.astype(np.float32))
        left = left - parts[-1]
    return np.stack(parts, axis=1)


def from_floats(parts: Values) -> NDArray[np.float64]:
    """The numbers (..., n) of what `in_floats` gave (..., n, 3)."""
    numbers: NDArray[np.float64] = parts.astype(np.float64)[..., ::-1].sum(axis=-1)
    return numbers
