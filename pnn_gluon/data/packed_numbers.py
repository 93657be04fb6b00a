"""Unsigned numbers of an HDF5 file in few bytes: of the smallest type that holds them, byte by byte, through zstd.

The lowest byte of every number stands first, then the next of every number, and so on: high bytes are alike. The
attributes `type` and `count` of the dataset, which is uint8, say what was packed.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pnn_gluon.data.hdf5_writing import Hdf5Writing

ZSTD = pa.Codec("zstd", compression_level=1)
MOST = 2**15
"""Zstd makes no more than so many bytes of one."""


def smallest(values: NDArray[Any]) -> NDArray[Any]:
    """Numbers >= 0 in the smallest unsigned type that holds them."""
    return values.astype(np.min_scalar_type(values.max(initial=0)), copy=False)


def put_packed(writing: Hdf5Writing, name: str, values: NDArray[Any]) -> None:
    """Write numbers (C,) >= 0 as a new dataset."""
    small = smallest(values)
    planes = small.view(np.uint8).reshape(-1, small.itemsize).T  # (bytes of one, C)
    writing.put(name, np.frombuffer(ZSTD.compress(np.ascontiguousarray(planes), asbytes=True), np.uint8))
    writing.file[name].attrs.update({"type": small.dtype.str, "count": len(small)})


def read_packed(dataset: Any) -> NDArray[Any]:
    """The numbers that `put_packed` wrote.

    Raises:
        ValueError: the dataset is none of its.
        OSError: what was packed is not there as it was.
    """
    kind, count = np.dtype(str(dataset.attrs["type"])), int(dataset.attrs["count"])
    if kind.kind != "u" or not 0 <= kind.itemsize * count <= MOST * dataset.size:
        raise ValueError(f"{dataset.name}: {count:,} numbers of {kind} in {dataset.size:,} bytes")
    content = ZSTD.decompress(dataset[:], kind.itemsize * count, asbytes=True)
    planes = np.frombuffer(content, np.uint8).reshape(kind.itemsize, count)
    return np.ascontiguousarray(planes.T).view(kind).reshape(count)
