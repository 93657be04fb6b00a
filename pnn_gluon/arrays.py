"""Names of the array types that data, training and experiments hand one another."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ids: TypeAlias = NDArray[np.int32]
"""Ids of values, (B, S) unless said otherwise."""

Floats: TypeAlias = NDArray[np.float64]
"""Numbers of any shape."""

Batch: TypeAlias = tuple[NDArray[np.int32], NDArray[np.float32], *tuple[NDArray[np.float32], ...]]
"""Ids (B, S), labels (B,) and, only where rows stand for many impressions, weights > 0 (B,) of a batch."""
