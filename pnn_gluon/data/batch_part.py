"""Which rows a worker reads when every batch is divided over several.

Rows of a batch are ordered by their places in the window they were drawn from, and cut into parts of equal size. So a
part has the rows of about one range of places of every window, and whoever trains on it reads no others.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
"""Numbers of rows of a window, from 0."""


@dataclass(frozen=True)
class BatchPart:
    """Parts first <= part < stop of `of` equal ones; the first ones have a row more where that cannot be.

    >>> [BatchPart(part, part + 1, 3).of_batch(8) for part in range(3)]
    [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
    """

    first: int
    stop: int
    of: int

    def of_batch(self, rows: int) -> slice:
        """The places of the parts in an ordered batch, those of `numpy.array_split`."""
        each, more = divmod(rows, self.of)
        start, stop = (part * each + min(part, more) for part in (self.first, self.stop))
        return slice(start, stop)


WHOLE = BatchPart(0, 1, 1)
"""All rows of every batch, ordered."""


def order_keys(places: Places, rows: int) -> NDArray[np.int64]:
    """What rows of a batch are ordered by: how far they lie into their window, which has so many rows."""
    return (places << 32) // rows


def own_places(windows: Iterable[tuple[Places, int]], batch_size: int, part: BatchPart) -> Iterator[Places]:
    """The places of each window that belong to a part of some batch, in the order in which they come.

    Args:
        windows: Of each the places in the order in which they come, batch after batch, and its number of rows. A batch
            may go on in the next window.
        batch_size: Rows B of a batch.
        part: Which part of every batch.
    """
    waiting: deque[Places] = deque()
    keys, own = np.empty(0, np.int64), np.empty(0, bool)
    for places, rows in windows:
        waiting.append(places)
        keys = np.concatenate((keys, order_keys(places, rows)))
        whole = len(keys) // batch_size * batch_size
        own = np.concatenate((own, _is_own(keys[:whole].reshape(-1, batch_size), part)))
        keys = keys[whole:]
        while waiting and len(waiting[0]) <= len(own):
            yield waiting[0][own[: len(waiting[0])]]
            own = own[len(waiting.popleft()) :]
    own = np.concatenate((own, _is_own(keys.reshape(1, -1), part)))
    for places in waiting:
        yield places[own[: len(places)]]
        own = own[len(places) :]


def _is_own(keys: NDArray[np.int64], part: BatchPart) -> NDArray[np.bool_]:
    """Whether each row of batches (batches, B) is of the part, flat."""
    own = np.zeros(keys.shape, bool)
    mine = np.argsort(keys, axis=1, kind="stable")[:, part.of_batch(keys.shape[1])]
    np.put_along_axis(own, mine, True, axis=1)  # noqa: FBT003
    return own.reshape(-1)
